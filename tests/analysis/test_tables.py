"""The tables' numbers against counts made by hand, published results, and the files."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import tables
from analysis.comparison import (
    _best_pair,
    _p_heading,
    comparison_rows,
    ensemble_matrix,
    interval_axis,
    statistics_blocks,
)
from analysis.findings import findings
from analysis.page import html_table
from analysis.ranking import Ranking, rankings
from analysis.results import Results, Run
from analysis.significance import PAIR_TESTS
from analysis.tables import OWN_SOURCE, literature, published_results
from tests.analysis.made_runs import MadeRun
from train.run import summary

CLASSES = ["dog", "rain", "sea"]
# Of three dogs one is predicted as rain, of two rains both as dog, the sea is correct.
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


def first_ranking(results: Results) -> Ranking:
    return ranked(results)[0]


def test_headings_of_other_tests_say_what_was_corrected() -> None:
    tests = {"mcnemar": ("McNemar", "…"), "nemenyi": ("Nemenyi", "…")}
    assert _p_heading("mcnemar_p_holm", tests) == "McNemar: p, Holm over all pairs"
    assert _p_heading("nemenyi_p", tests) == "Nemenyi: p"


def test_only_tests_that_have_a_column_are_explained(made: Callable[..., Results], tmp_path: Path) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5), MadeRun(features="rms", skill=0.6)]
    names = ["McNemar", "Corrected resampled t", "Nemenyi"]
    for count, wanted in ((3, names), (2, names[:2])):
        found = findings(made(*runs[:count]), np.random.default_rng(0))
        (block,) = (one for one in statistics_blocks(found, tmp_path) if one.heading == "Other common tests")
        assert [item.partition(":")[0] for item in block.items] == wanted


def test_of_too_few_clips_no_row_is_called_tied(made: Callable[..., Results]) -> None:
    table = tables.comparison(ranked(made(MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79))))
    words = [row["verdict_text"] for row in comparison_rows(table, few=True)]
    assert words == ["best so far", "no clear difference"]
    assert [row["verdict_text"] for row in comparison_rows(table)] == ["best, but tied", "tied"]


def test_rounded_tables_and_sentences_round_a_half_alike() -> None:
    assert tables.rounded(pd.DataFrame({"share": [1 / 16, 0.5]}))["share"].tolist() == ["0.063", "0.500"]


def test_classes_by_hand(hand_run: Callable[..., Run]) -> None:
    table = tables.per_class(hand_run("mel", CLASSES, ROWS)).set_index("class")
    assert table["clips"].tolist() == table["of"].tolist() == [3, 2, 1]
    assert table["correct"].tolist() == [2, 0, 1]
    assert table["recall"].tolist() == pytest.approx([2 / 3, 0, 1])
    assert table["precision"].tolist() == pytest.approx([2 / 4, 0, 1])
    assert table["f1"].tolist() == pytest.approx([4 / 7, 0, 1])


def test_confusion_and_most_confused_by_hand(hand_run: Callable[..., Run]) -> None:
    run = hand_run("mel", CLASSES, ROWS)
    assert tables.confusion_counts(run).tolist() == [[2, 1, 0], [2, 0, 0], [0, 0, 1]]
    table = tables.confused_pairs(run)
    assert table.to_dict("records") == [
        {"true": "rain", "predicted": "dog", "count": 2, "of": 2, "share": 1},
        {"true": "dog", "predicted": "rain", "count": 1, "of": 3, "share": pytest.approx(1 / 3)},
    ]
    assert len(tables.confused_pairs(run, most=1)) == 1


def test_counts_of_several_seeds_are_added(made: Callable[..., Results]) -> None:
    run = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.6, seed=1), MadeRun(skill=0.7, seed=2)).runs[0]
    counts = tables.confusion_counts(run)
    assert counts.sum(axis=1).tolist() == [3 * 40] * 10
    assert counts.diagonal().sum() == (320 + 240 + 280)
    classes = tables.per_class(run)
    assert classes["recall"].tolist() == pytest.approx((classes["correct"] / classes["of"]).tolist())
    assert tables.seeds_note(run) == "Counts add 3 seeds: every clip is predicted 3 times."
    assert tables.seeds_note(made(MadeRun()).runs[0]) == ""


def test_the_most_confused_pair_is_the_terminals(written: Callable[..., Results]) -> None:
    run = written(MadeRun(skill=0.7)).runs[0]
    first = tables.confused_pairs(run, 1).iloc[0]
    run.folders[0].config["options"]["skip_test"] = False
    said = summary(run.folders[0])
    pair = f"{first['true']} predicted as {first['predicted']} ({first['count']} of {first['of']})"
    assert f"most confused: {pair}; " in said


def test_fold_scores_by_hand(hand_run: Callable[..., Run]) -> None:
    table = tables.fold_scores(hand_run("mel", CLASSES, ROWS))
    assert table["accuracy"].to_dict() == {1: pytest.approx(2 / 3), 2: pytest.approx(1 / 3)}


def test_a_row_of_the_comparison_by_hand(hand_run: Callable[..., Run]) -> None:
    run = hand_run("mel", CLASSES, ROWS, parameters=7, extraction={"seconds": 1.5, "megabytes": 2})
    row = tables.comparison(ranked(Results([run], []))).iloc[0]
    assert row["accuracy"] == pytest.approx(1 / 2)
    assert row["accuracy_sd"] == pytest.approx(np.std([2 / 3, 1 / 3], ddof=1))
    assert (row["n"], row["clips"], row["seeds"]) == (2, 6, 1)
    assert (row["parameters"], row["extraction_seconds"], row["extraction_megabytes"]) == (7, 1.5, 2)
    assert (row["verdict"], row["not_compared"]) == ("alone", "") and np.isnan(row["fold_seconds"])
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


def test_the_comparison_holds_every_run_and_why_one_is_notfirst_ranking(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), MadeRun(features="zcr", skill=0.3)]
    table = tables.comparison(ranked(made(*runs, MadeRun(features="rms", folds=(1,)))))
    assert table["features"].tolist() == ["mel", "mfcc", "zcr", "rms"]
    assert table["verdict"].tolist() == ["tied", "tied", "worse", "alone"]
    assert table["ranking"].tolist() == [1, 1, 1, 2]
    assert table["missing_folds"].tolist() == ["", "", "", "2 3 4 5"]
    assert "folds 2, 3, 4, 5 are missing" in table.loc[3, "not_compared"]
    assert np.isnan(table.loc[3, "accuracy_sd"])


def test_the_cost_of_training_is_of_a_fold_and_says_on_what(made: Callable[..., Results]) -> None:
    results = made(MadeRun(), MadeRun(features="zcr", folds=(1, 2)), MadeRun(features="rms"))
    by_features = {run.features: run for run in results.runs}
    by_features["mel"].config["threads"] = 2
    by_features["zcr"].config["threads"] = 1
    by_features["rms"].config["machine"] = {"gpu": "NVIDIA H200"}
    table = tables.comparison(ranked(results)).set_index("features")
    assert table["fold_seconds"].tolist() == [20.0] * 3  # 20 epochs of a second, two folds or five
    on = {"mel": "2 threads", "zcr": "1 thread", "rms": "NVIDIA H200"}
    assert table["trained_on"].to_dict() == on


def test_the_tested_share_is_the_protocols_and_not_of_what_is_finished(made: Callable[..., Results]) -> None:
    def share(**given: object) -> float:
        return tables.tested_share(made(MadeRun(**given)).runs[0])

    assert share() == share(folds=(1, 2)) == 1 / 4
    assert share(val="next") == 1 / 3
    assert share(val="group") == pytest.approx(1 / 3.4)


def test_the_page_says_why_a_run_is_not_compared_and_which_rows_share_features_and_model(
    made: Callable[..., Results],
) -> None:
    runs = MadeRun(skill=0.9), MadeRun(augment="none", skill=0.5), MadeRun(features="rms", folds=(1,))
    rows = comparison_rows(tables.comparison(ranked(made(*runs))))
    assert [row["order"] for row in rows] == [1, 2, 3]
    assert [row["distinct"] for row in rows] == [False, False, True]
    assert rows[2]["verdict_text"] == "not compared" and "folds" in rows[2]["not_compared"]


def test_intervals_are_drawn_on_the_leaders_scale() -> None:
    low = [0.81, 0.79, 0.77, 0.76, 0.72, 0.1]
    table = pd.DataFrame({"accuracy_low": low, "rank": range(1, 7), "ranking": 1})
    table = table.assign(accuracy=table["accuracy_low"] + 0.05, accuracy_high=table["accuracy_low"] + 0.1)
    assert interval_axis(table.assign(verdict="worse")) == pytest.approx((0.7, 0.95))
    assert interval_axis(table.assign(verdict="tied")) == pytest.approx((0.1, 0.95))


def test_no_run_makes_an_empty_comparison() -> None:
    assert tables.comparison([]).empty


def test_categories_are_scored_by_summed_probabilities(made: Callable[..., Results]) -> None:
    run = made(MadeRun()).runs[0]
    table = tables.per_category(run)
    assert table is not None
    assert table["category"].tolist() == ["animals", "exterior", "human", "interior", "nature"]
    assert table["clips"].sum() == 400
    of_categories = tables.per_category(made(MadeRun(features="zcr", task="categories")).runs[0])
    assert of_categories is not None
    assert of_categories["category"].tolist() == table["category"].tolist()


def test_verdicts_as_text(made: Callable[..., Results]) -> None:
    main = ranked(
        made(MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), MadeRun(features="zcr", skill=0.3))
    )
    table = tables.pairs(main[0])
    assert table["verdict"].tolist() == [
        "no difference shown",
        "mel-resnet18 is better",
        "not tested",
    ]


def test_the_appendix_has_every_test(made: Callable[..., Results]) -> None:
    results = made(
        *(MadeRun(features=name, skill=skill) for name, skill in (("a", 0.8), ("b", 0.79), ("c", 0.2)))
    )
    table = tables.other_tests(ranked(results)[0])
    assert [f"{name}_p_holm" in table for name in PAIR_TESTS] == [True] * len(PAIR_TESTS)
    assert (table["mcnemar_p_holm"] < 0.05).tolist() == [False, True, True]
    assert (table["corrected_resampled_t_p_holm"] < 0.05).tolist() == [False, True, True]
    assert "nemenyi_p" in table
    assert "nemenyi_p" not in tables.other_tests(ranked(Results(results.runs[:2], []))[0])


def test_recall_of_every_run_in_every_class(made: Callable[..., Results]) -> None:
    ranking = ranked(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5)))[0]
    table = tables.recall_by_class(ranking)
    assert table["run"].unique().tolist() == ["mel-resnet18", "zcr-resnet18"]
    assert len(table) == 2 * 10
    second = table[table["run"] == "zcr-resnet18"].set_index("class")["recall"]
    run = ranking.runs[1]
    for number, name in enumerate(run.classes):
        assert second[name] == pytest.approx(run.correct[run.target == number].mean())


@pytest.mark.parametrize(("dataset", "human", "acdnet"), [("esc10", 0.957, 0.9665), ("esc50", 0.813, 0.871)])
def test_anchors(dataset: str, human: float, acdnet: float) -> None:
    table = published_results(dataset).set_index("method")
    assert table.loc["human listeners", "accuracy"] == human
    assert table.loc["ACDNet", "accuracy"] == acdnet
    assert "peeked" in table.loc["ACDNet", "protocol"]
    assert table["accuracy"].between(0, 1).all()
    assert table["accuracy"].is_monotonic_increasing
    assert table["doi"].str.fullmatch(r"10\.\d{4,5}/\S+").all()
    assert (table[["weights", "protocol", "source"]] != "").all(axis=None)


def test_figures_of_the_dataset_paper() -> None:
    table = published_results("esc50").set_index("method")
    paper = table[table["doi"] == "10.1145/2733373.2806390"]["accuracy"].to_dict()
    assert paper == {"random forest on MFCC and ZCR": 0.443, "human listeners": 0.813}
    assert table.loc["CNN on mel spectrograms", "doi"] == "10.1109/MLSP.2015.7324337"


def test_any_spelling_of_the_dataset_and_nothing_of_others() -> None:
    assert len(published_results("ESC-50")) == len(published_results("esc50")) > 10
    assert published_results("synth").empty


def test_runs_stand_among_the_published(made: Callable[..., Results]) -> None:
    table = literature(first_ranking(made(MadeRun(skill=0.9), dataset="esc10")))
    place = table["source"].tolist().index(OWN_SOURCE)
    assert table.loc[place, "accuracy"] == pytest.approx(0.9)
    assert table.loc[place - 1, "accuracy"] <= 0.9 <= table.loc[place + 1, "accuracy"]
    assert table.loc[place, "protocol"] == "5 folds, last epoch"


def test_of_many_runs_the_best_of_each_kind_of_weights_stands_there(made: Callable[..., Results]) -> None:
    results = made(
        MadeRun(skill=0.8), MadeRun(features="zcr"), MadeRun(features="rms", skill=0.5), dataset="esc10"
    )
    by_features = {run.features: run for run in results.runs}
    by_features["rms"].config["options"]["weights"] = "imagenet"
    table = literature(first_ranking(results))
    assert table.loc[table["source"] == OWN_SOURCE, "method"].tolist() == ["rms-resnet18", "mel-resnet18"]
    protocols = table.loc[table["source"] == OWN_SOURCE, "protocol"].tolist()
    assert protocols[0] == "5 folds, last epoch"
    assert protocols[1] == "5 folds, last epoch; highest of 2 runs, selected on the test folds"


def test_other_tasks_and_datasets_have_nothing_beside_them(made: Callable[..., Results]) -> None:
    assert literature(first_ranking(made(MadeRun(task="categories"), dataset="esc10"))).empty
    assert literature(
        first_ranking(made(MadeRun(features="zcr"), MadeRun(features="rms"), dataset="other"))
    ).empty


TABLE = pd.DataFrame(
    {
        "run": ["<script>alert(1)</script>", "a|b_c & 50 % #1 ~^\\{}$"],
        "accuracy": [1 / 3, np.nan],
        "clips": [40.0, 7.0],
        "n": [5, 3],
        "synthetic": [True, False],
    }
)


def test_csv_keeps_every_digit() -> None:
    back = pd.read_csv(StringIO(tables.as_csv(TABLE)))
    assert back["accuracy"][0] == 1 / 3
    assert np.isnan(back["accuracy"][1])
    assert back["run"].tolist() == TABLE["run"].tolist()


def test_markdown_rounds_and_escapes() -> None:
    lines = tables.as_markdown(TABLE).splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: | --- |"
    assert lines[2] == r"| \<script\>alert(1)\</script\> | 0.333 | 40 | 5 | yes |"
    assert lines[3].startswith(r"| a\|b\_c & 50 % #1 ~^\\{}$ |  | 7 | 3 | no")
    assert len(lines) == 4


def test_latex_escapes_and_aligns() -> None:
    text = tables.as_latex(TABLE)
    assert r"\begin{tabular}{lrrrl}" in text
    assert r"\textless{}script\textgreater{}alert(1)" in text
    assert r"a|b\_c \& 50 \% \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}\{\}\$" in text
    assert "0.333 & 40 & 5 & yes" in text


def test_latex_is_a_booktabs_table_line_by_line() -> None:
    table = pd.DataFrame({"a_b": ["[x]", "*y"], "n": [1.5, np.nan]})
    assert tables.as_latex(table).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a b & n \\",
        r"\midrule",
        r"{[}x] & 1.500 \\",
        r"{*}y &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_no_p_value_is_zero() -> None:
    table = pd.DataFrame({"p_holm": [0.0, 0.00049, 0.0012, np.nan], "mcnemar_p_holm": 1e-9, "nemenyi_p": 0.5})
    assert tables.rounded(table)["p_holm"].tolist() == ["< 0.001", "< 0.001", "0.001", ""]
    assert tables.rounded(table)["mcnemar_p_holm"].tolist() == ["< 0.001"] * 4
    assert [tables.p_text(p) for p in (0.0, 0.0123)] == ["p < 0.001", "p = 0.012"]
    cells = html_table("x", table, {"p_holm": ("p", "p")}).rows
    assert [row[0].text for row in cells] == ["< 0.001", "< 0.001", "0.001", "–"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1.0, 0.0], ["1.000", "0.000"]),  # shares, though whole
        ([1.0, 2.0], ["1", "2"]),  # counts
        ([2.5, 2.0], ["2.500", "2.000"]),
        ([np.nan, np.nan], ["", ""]),
    ],
)
def test_decimals_belong_to_a_column(numbers: list[float], words: list[str]) -> None:
    assert tables.rounded(pd.DataFrame({"x": numbers}))["x"].tolist() == words


def test_write_leaves_three_whole_files(tmp_path: Path) -> None:
    tables.write_table(TABLE, tmp_path / "tables", "comparison")
    written = sorted(file.name for file in (tmp_path / "tables").iterdir())
    assert written == ["comparison.csv", "comparison.md", "comparison.tex"]
    assert (tmp_path / "tables" / "comparison.csv").read_text() == tables.as_csv(TABLE)


def test_an_empty_table_has_its_header() -> None:
    empty = TABLE.iloc[:0]
    assert tables.as_markdown(empty).startswith("| run | accuracy |")
    assert r"\begin{tabular}" in tables.as_latex(empty)


CLIPS = [("a", "g1", 1, "dog"), ("b", "g2", 1, "dog"), ("c", "g3", 1, "dog"), ("d", "g4", 1, "dog")]


def run_of(hand_run: Callable[..., Run], name: str, dogs: list[float]) -> Run:
    """A run that gives each of the four clips, all dogs, this probability of being one."""
    rows = [(*clip, [dog, 1 - dog]) for clip, dog in zip(CLIPS, dogs, strict=True)]
    return hand_run(name, ["dog", "rain"], rows)


def test_overlap_by_hand(hand_run: Callable[..., Run]) -> None:
    # right:   first a b, second a c; mean: a 0.9, b 0.55, c 0.45, d 0.1
    first = run_of(hand_run, "first", [0.9, 0.9, 0.3, 0.1])
    second = run_of(hand_run, "second", [0.9, 0.2, 0.6, 0.1])
    assert tables.overlap(first, second) == pytest.approx(
        {"agreement": 2 / 4, "double_fault": 1 / 4, "oracle": 3 / 4, "ensemble": 2 / 4, "gain": 0}
    )


def test_a_run_adds_nothing_to_itself(hand_run: Callable[..., Run]) -> None:
    run = run_of(hand_run, "first", [0.9, 0.9, 0.3, 0.1])
    assert tables.overlap(run, run) == pytest.approx(
        {"agreement": 1, "double_fault": 1 / 2, "oracle": 1 / 2, "ensemble": 1 / 2, "gain": 0}
    )


def test_pairs_are_sorted_by_their_ensemble(made: Callable[..., Results]) -> None:
    # Runs whose errors are their own gain from each other; two that share them do not.
    skills = {"a": 0.2, "b": 0.2, "c": 1.0}
    main = first_ranking(made(*(MadeRun(features=name, skill=0.7, own=own) for name, own in skills.items())))
    table = tables.complementarity(main)
    assert table["ensemble"].is_monotonic_decreasing
    by_pair = {frozenset((row.a[0], row.b[0])): row for row in table.itertuples()}
    assert by_pair[frozenset("ac")].double_fault < by_pair[frozenset("ab")].double_fault
    assert by_pair[frozenset("ac")].oracle > by_pair[frozenset("ab")].oracle
    square = ensemble_matrix(main, table)
    assert square.diagonal() == pytest.approx(main.accuracy)
    assert (square == square.T).all()
    assert square.max() == table["ensemble"].iloc[0]


def test_seeds_are_paired_the_shorter_list_again(made: Callable[..., Results]) -> None:
    three = [MadeRun(seed=seed, skill=0.6 + seed / 10) for seed in range(3)]
    main = first_ranking(made(*three, MadeRun(features="zcr", skill=0.5)))
    single = tables.complementarity(main).iloc[0]
    mel, zcr = main.runs
    right_zcr = zcr.correct > 0
    either = [(mel.predicted[seed] == mel.target) | right_zcr for seed in range(3)]
    assert single["oracle"] == pytest.approx(np.mean(either))


def test_one_run_has_no_pair(made: Callable[..., Results]) -> None:
    assert tables.complementarity(first_ranking(made(MadeRun()))).empty


def test_calibration_is_scored_before_and_after_the_temperature_of_the_other_folds(hand_run):
    chance = np.random.default_rng(0)
    rows = []
    for number in range(200):  # a run that is right nine times in ten, and says 0.5
        correct = chance.random() < 0.9
        dog, fold = [0.5, 0.25, 0.25] if correct else [0.25, 0.5, 0.25], 1 + number % 2
        rows.append((f"c{number}", f"g{number}", fold, "dog", dog))
    table = tables.fold_scores(hand_run("mel", CLASSES, rows))
    assert (table["temperature"] < 0.6).all()
    assert (table["calibration_error"] > 0.3).all() and (table["calibration_error_scaled"] < 0.1).all()
    assert (table["log_loss_scaled"] < table["log_loss"]).all()


@pytest.mark.parametrize(
    ("ensemble", "words"),
    [
        (0.0, "No ensemble of two runs is more accurate than mel alone"),
        (1.0, "The ensemble of a and b has 100.0 % accuracy, 3.0 points more than the better one alone."),
    ],
)
def test_the_page_says_when_no_pair_beats_the_best_single_run(
    made: Callable[..., Results], ensemble: float, words: str
) -> None:
    ranking = ranked(made(MadeRun(skill=0.9), MadeRun(features="rms", skill=0.5)))[0]
    best = pd.Series({"a": "a", "b": "b", "ensemble": ensemble, "gain": 0.03})
    assert _best_pair(ranking, best).startswith(words)
