"""The tables' numbers against counts made by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis import tables
from analysis.ranking import rankings
from analysis.results import Results, Run
from analysis.significance import PAIR_TESTS
from bench.made_runs import MadeRun

CLASSES = ["dog", "rain", "sea"]
# Of three dogs one is taken for rain, of two rains both for a dog, the sea is right; nothing else is said.
ROWS = [
    ("a", "g1", 1, "dog", [0.8, 0.1, 0.1]),
    ("b", "g2", 1, "dog", [0.8, 0.1, 0.1]),
    ("c", "g3", 2, "dog", [0.1, 0.8, 0.1]),
    ("d", "g4", 1, "rain", [0.8, 0.1, 0.1]),
    ("e", "g5", 2, "rain", [0.8, 0.1, 0.1]),
    ("f", "g6", 2, "sea", [0.1, 0.1, 0.8]),
]


def ranked(results: Results) -> list:
    return rankings(results.runs, np.random.default_rng(0), replicates=500)


def test_classes_by_hand(hand_run: Callable[..., Run]) -> None:
    table = tables.per_class(hand_run("mel", CLASSES, ROWS)).set_index("class")
    assert table["clips"].tolist() == [3, 2, 1]
    assert table["recall"].tolist() == pytest.approx([2 / 3, 0, 1])
    assert table["precision"].tolist() == pytest.approx([2 / 4, 0, 1])
    assert table["f1"].tolist() == pytest.approx([4 / 7, 0, 1])


def test_confusion_and_most_confused_by_hand(hand_run: Callable[..., Run]) -> None:
    run = hand_run("mel", CLASSES, ROWS)
    assert tables.confusion(run).tolist() == [[2, 1, 0], [2, 0, 0], [0, 0, 1]]
    table = tables.confused_pairs(run)
    assert table.to_dict("records") == [
        {"true": "rain", "predicted": "dog", "clips": 2, "share": 1},
        {"true": "dog", "predicted": "rain", "clips": 1, "share": pytest.approx(1 / 3)},
    ]
    assert len(tables.confused_pairs(run, most=1)) == 1


def test_fold_scores_by_hand(hand_run: Callable[..., Run]) -> None:
    table = tables.fold_scores(hand_run("mel", CLASSES, ROWS))
    assert table["accuracy"].to_dict() == {1: pytest.approx(2 / 3), 2: pytest.approx(1 / 3)}


def test_a_row_of_the_comparison_by_hand(hand_run: Callable[..., Run]) -> None:
    run = hand_run(
        "mel", CLASSES, ROWS, parameters=7, extraction={"seconds": 1.5, "megabytes": 2}, seconds=30
    )
    row = tables.comparison(ranked(Results([run], []))).iloc[0]
    assert row["accuracy"] == pytest.approx(1 / 2)
    assert row["accuracy_sd"] == pytest.approx(np.std([2 / 3, 1 / 3], ddof=1))
    assert (row["n"], row["clips"], row["seeds"]) == (2, 6, 1)
    assert (row["parameters"], row["extraction_seconds"], row["extraction_megabytes"]) == (7, 1.5, 2)
    assert (row["training_seconds"], row["verdict"], row["kept_out"]) == (30, "alone", "")
    assert list(tables.comparison(ranked(Results([run], []))).columns[:4]) == [
        "run",
        "accuracy",
        "accuracy_sd",
        "n",
    ]


def test_seeds_are_averaged_before_anything_else(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.6, seed=1))
    table = tables.comparison(ranked(results))
    assert len(table) == 1
    assert table.loc[0, "accuracy"] == pytest.approx(0.7)
    assert table.loc[0, "seed_sd"] == pytest.approx(np.std([0.8, 0.6], ddof=1))
    by_seed = (results.runs[0].predicted == results.runs[0].target).mean(axis=0)
    folds = [by_seed[results.runs[0].folds == fold].mean() for fold in range(1, 6)]
    assert table.loc[0, "accuracy_sd"] == pytest.approx(np.std(folds, ddof=1))


def test_the_comparison_holds_every_run_and_why_one_is_not_ranked(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), MadeRun(features="zcr", skill=0.3)]
    table = tables.comparison(ranked(made(*runs, MadeRun(features="rms", folds=(1,)))))
    assert table["features"].tolist() == ["mel", "mfcc", "zcr", "rms"]
    assert table["verdict"].tolist() == ["tied", "tied", "worse", "alone"]
    assert table["ranking"].tolist() == [1, 1, 1, 2]
    assert table["missing_folds"].tolist() == ["", "", "", "2 3 4 5"]
    assert "folds 2, 3, 4, 5 are missing" in table.loc[3, "kept_out"]
    assert np.isnan(table.loc[3, "accuracy_sd"])


def test_no_run_makes_an_empty_comparison() -> None:
    assert tables.comparison([]).empty


def test_categories_are_scored_by_summed_probabilities(made: Callable[..., Results]) -> None:
    run = made(MadeRun()).runs[0]
    table = tables.per_category(run)
    assert table is not None
    assert table["category"].tolist() == ["animals", "exterior", "human", "interior", "nature"]
    assert table["clips"].sum() == 400
    of_categories = tables.per_category(made(MadeRun(features="zcr", task="categories")).runs[1])
    assert of_categories is not None
    assert of_categories["category"].tolist() == table["category"].tolist()


def test_verdicts_in_words(made: Callable[..., Results]) -> None:
    main = ranked(
        made(MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), MadeRun(features="zcr", skill=0.3))
    )
    table = tables.pairs(main[0])
    assert table["verdict"].tolist() == [
        "no difference shown",
        *["mel-resnet18 is better"] * 1,
        "mfcc-resnet18 is better",
    ]


def test_the_appendix_has_every_test(made: Callable[..., Results]) -> None:
    results = made(
        *(MadeRun(features=name, skill=skill) for name, skill in (("a", 0.8), ("b", 0.79), ("c", 0.2)))
    )
    table = tables.appendix(ranked(results)[0])
    assert [f"{name}_p_holm" in table for name in PAIR_TESTS] == [True] * len(PAIR_TESTS)
    assert (table["mcnemar_p_holm"] < 0.05).tolist() == [False, True, True]
    assert (table["corrected_resampled_t_p_holm"] < 0.05).tolist() == [False, True, True]
    assert "nemenyi_p" in table
    assert "nemenyi_p" not in tables.appendix(ranked(Results(results.runs[:2], []))[0])


def test_recall_of_every_run_in_every_class(made: Callable[..., Results]) -> None:
    ranking = ranked(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5)))[0]
    table = tables.recall_by_class(ranking)
    assert table["run"].unique().tolist() == ["mel-resnet18", "zcr-resnet18"]
    assert len(table) == 2 * 10
    second = table[table["run"] == "zcr-resnet18"].set_index("class")["recall"]
    run = ranking.runs[1]
    for number, name in enumerate(run.classes):
        assert second[name] == pytest.approx(run.correct[run.target == number].mean())
