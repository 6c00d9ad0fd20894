"""All findings in one step: every table that has rows, the same twice, and something for any input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.findings import category_rankings, findings
from analysis.ranking import not_compared_sentence
from analysis.results import Results, load_runs
from results.run_folder import RunFolder, find, history_row, start_history
from tests.analysis.made_runs import MadeRun, made_clips, make_run

RNG = np.random.default_rng


def test_every_table_that_has_rows(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.5), MadeRun(augment="none", skill=0.6)]
    found = findings(made(*runs, MadeRun(features="rms", folds=(1,)), dataset="esc10"), RNG(0))
    of_pairs = {"pairs", "other_tests", "complementarity", "augmentation", "augmentation_by_class"}
    of_runs = {"comparison", "recall_by_class", "literature", "categories", "checkpoints"}
    assert set(found.tables) == of_runs | of_pairs
    assert len(found.runs) == len(found.tables["comparison"]) == 4
    assert [problem.run for problem in found.problems] == ["rms-resnet18"]
    assert found.answer.kind == "clear winner"
    assert found.nested is not None
    assert found.friedman is not None
    assert set(found.tests) == {"mcnemar", "corrected_resampled_t", "nemenyi"}
    assert any(
        sentence.startswith("augment none → default (mel, resnet18) helps") for sentence in found.sentences
    )


def test_two_runs_that_were_named_have_one_level_in_every_table(made: Callable[..., Results]) -> None:
    """One comparison, as the best against the other and as an ablation: one p-value, one verdict."""
    two = made(MadeRun(features="mel+mfcc", skill=0.82), MadeRun(skill=0.7), clips=100)
    for named, level in ((False, 0.02), (True, 0.05)):
        found = findings(two, RNG(0), named=named)
        assert found.main is not None
        pair, ablation = found.main.pairs.iloc[0], found.tables["additions"].iloc[0]
        assert pair["p"] == pytest.approx(pair["p_best"]) == pytest.approx(ablation["p_adjusted"])
        assert pair["differs"] == ablation["differs"] == (pair["p"] < level)
    three = made(MadeRun(features="mel+mfcc", skill=0.82), MadeRun(skill=0.7), MadeRun(features="zcr"))
    main = findings(three, RNG(0), named=True).main
    assert main is not None and (main.level, main.ablations_level) == (0.02, 0.02)


def test_what_was_added_has_tables_and_sentences(made: Callable[..., Results]) -> None:
    runs = [
        MadeRun(skill=0.5),
        MadeRun(features="mel+zcr", skill=0.8),
        MadeRun(features="mel+mel", skill=0.5),
    ]
    found = findings(made(*runs), RNG(0))
    assert found.tables["additions"]["changed"].tolist() == ["zcr", "mel"]
    assert set(found.tables["additions_by_class"]["of"]) == {
        "zcr added to mel (resnet18)",
        "mel added to mel (resnet18)",
    }
    assert found.sentences[0].startswith("zcr added to mel (resnet18) helps ")
    assert found.sentences[1] == "No class changes significantly: mel added to mel (resnet18)."
    assert [heading for heading, _ in found.overview] == ["Combined", "Classes"]


def test_an_exact_solution_has_no_epochs_to_choose_from(by_hand: Callable[..., RunFolder]) -> None:
    rows = [("a", "g", 1, "dog", [0.2, 0.8]), ("b", "h", 2, "rain", [0.1, 0.9])]
    folder = by_hand("mel", ["dog", "rain"], rows, model="linear")
    start_history(folder.fold(1), [history_row({"epoch": 1, "test_accuracy": 0.5})])
    start_history(folder.fold(2), [history_row({"epoch": 1, "test_accuracy": 0.5})])
    assert "checkpoints" not in findings(load_runs([folder]), RNG(0)).tables


def test_the_same_generator_gives_the_same_findings(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.79))
    first, second = findings(results, RNG(5)), findings(results, RNG(5))
    assert first.answer == second.answer
    for name, table in first.tables.items():
        assert table.equals(second.tables[name])


def test_runs_on_categories_stand_beside_summed_ones(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.7, task="categories"))
    ranking = category_rankings(results.runs, RNG(0))[0]
    assert {run.name for run in ranking.runs} == {
        "mel-resnet18 (classes, summed)",
        "mfcc-resnet18-categories",
    }
    assert ranking.accuracy.min() > 0.69


def test_no_run_at_all() -> None:
    found = findings(load_runs([]), RNG(0))
    assert (found.runs, found.rankings, found.tables, found.problems) == ((), (), {}, ())
    assert found.answer.kind == "no run"
    assert found.main is None


def test_only_unfinished_and_damaged_runs(tmp_path: Path) -> None:
    clips = made_clips(100, 10)
    broken = make_run(tmp_path, clips, MadeRun())
    (broken / "run.json").write_text("")
    unfinished = make_run(tmp_path, clips, MadeRun(features="zcr", folds=(1,)))
    (unfinished / "fold1" / "predictions.csv").unlink()
    found = findings(load_runs(find(tmp_path)), RNG(0))
    assert found.answer.kind == "no run"
    assert sorted(problem.unfinished for problem in found.problems) == [False, True]


def test_one_run_of_one_fold_with_a_class_never_predicted(by_hand: Callable[..., RunFolder]) -> None:
    rows = [("a", "g", 1, "<script>", [0.2, 0.8]), ("b", "h", 1, "rain", [0.1, 0.9])]
    found = findings(load_runs([by_hand("mel", ["<script>", "rain"], rows)]), RNG(0))
    assert found.answer.kind == "one run"
    assert found.tables["comparison"].loc[0, "macro_precision"] == 1 / 4
    assert "pairs" not in found.tables
    assert found.friedman is None
    assert found.nested is None


def test_partial_runs_stand_apart_on_the_first_screen(made: Callable[..., Results]) -> None:
    finished = [MadeRun(skill=0.7), MadeRun(features="mel+mfcc", skill=0.8)]
    tries = [MadeRun(features=name, skill=0.95, folds=(1,)) for name in ("rms", "zcr", "mel+rms")]
    found = findings(made(*finished, *tries), RNG(0))
    assert found.answer.headline == "Best features: mel+mfcc, 80.0 % accuracy"
    assert found.answer.kind == "clear winner"
    assert not_compared_sentence(found.rankings) == "3 of 5 runs are not compared, because 3 lack folds."
    assert set(found.tables["additions"]["with"]) == {"mel+mfcc-resnet18"}
