"""The forest plot, the small confusion matrix, the most common mistake and the notes at the foot."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis import tables
from analysis.findings import Findings, findings
from analysis.first_screen import (
    Forest,
    common_mistake,
    dataset_line,
    first_screen,
    forest,
    model_notes,
    small_matrix,
)
from analysis.results import Problem, Results, Run
from tests.analysis.made_runs import MadeRun


def found_of(results: Results) -> Findings:
    return findings(results, np.random.default_rng(0))


def forest_of(results: Results) -> Forest:
    main = found_of(results).main
    assert main is not None
    return forest(main)


def test_a_panel_a_model_the_best_first_each_by_accuracy(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features=name, skill=skill) for name, skill in (("mel", 0.7), ("mfcc", 0.8))]
    runs += [MadeRun(skill=0.9, model="cnn4"), MadeRun(skill=0.6, augment="none")]
    drawn = forest_of(made(*runs))
    assert [panel.label for panel in drawn.panels] == [
        "all",
        "cnn4",
        "resnet18, augment default",
        "resnet18, augment none",
    ]
    assert [row.name for row in drawn.panels[2].rows] == ["mfcc", "mel"]
    assert drawn.panels[2].rows[0].accuracy.startswith("80.0 ± ")
    assert [row.name for row in drawn.panels[0].rows][::2] == [
        "mel (cnn4)",
        "mel (resnet18, augment default)",
    ]
    more = forest_of(made(*runs, MadeRun(features="mfcc", skill=0.85, model="cnn4")))
    assert [panel.label for panel in more.panels][::3] == ["cnn4", "all"]  # the best has one beside it


def test_rows_of_one_feature_set_are_named_by_what_differs_without_the_model(
    hand_run: Callable[..., Run],
) -> None:
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.8, 0.2]) for n in range(12)]
    runs = [
        hand_run(f"run{tag}", ["dog", "rain"], rows, features="mel", tag=tag, options={"epochs": 20})
        for tag in ("", "b")
    ]
    names = [row.name for panel in forest_of(Results(runs, [])).panels for row in panel.rows]
    assert sorted(names) == ["mel (no tag)", "mel (tag b)"]


def test_positions_are_percentages_of_an_axis_that_holds_chance_and_every_interval(
    made: Callable[..., Results],
) -> None:
    drawn = forest_of(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3)))
    # ten classes, intervals from about 0.25 to 0.84: the axis is 0.1 to 0.9
    assert drawn.ticks == [(12.5, "20"), (37.5, "40"), (62.5, "60"), (87.5, "80")]
    assert (drawn.chance, drawn.chance_text) == (0, "chance 10 %")
    best, worse = drawn.panels[0].rows
    assert best.at == pytest.approx(87.5) and worse.at == pytest.approx(25)
    assert all(0 <= row.low < row.at < row.high <= 100 for row in (best, worse))
    assert (best.verdict, worse.verdict) == ("best", "worse") and drawn.band is None


def test_the_band_reaches_from_the_lowest_tied_run_to_the_best(made: Callable[..., Results]) -> None:
    runs = [("mel", 0.8), ("mfcc", 0.79), ("chroma", 0.78), ("zcr", 0.3)]
    drawn = forest_of(made(*(MadeRun(features=name, skill=skill) for name, skill in runs)))
    rows = drawn.panels[0].rows
    assert [row.verdict for row in rows] == ["tied", "tied", "tied", "worse"]
    assert drawn.band == pytest.approx((rows[2].at, rows[0].at - rows[2].at))


def test_too_few_recordings_have_dots_without_intervals(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"speaker{n % 4}", 1, "dog", [0.9, 0.1]) for n in range(8)]
    drawn = forest_of(Results([hand_run("mel", ["dog", "rain"], rows)], []))
    (row,) = drawn.panels[0].rows
    assert row.interval == "" and row.low == row.at == row.high


def test_the_small_matrix_counts_as_the_table_does(made: Callable[..., Results]) -> None:
    (run,) = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.8, seed=1)).runs
    matrix = small_matrix(run)
    assert sum(cell.count for _, cells in matrix.rows for cell in cells) == 800
    assert matrix.note == "Counts add 2 seeds: every clip is predicted 2 times."
    correct = {name: cell.count for name, cells in matrix.rows for cell in cells if cell.correct}
    assert correct == tables.per_class(run).set_index("class")["correct"].to_dict()


def test_of_many_classes_those_of_the_most_frequent_errors_are_shown(made: Callable[..., Results]) -> None:
    (run,) = made(MadeRun(skill=0.7), clips=2000, classes=50).runs
    matrix, mistake = small_matrix(run), common_mistake(run)
    assert mistake is not None
    assert len(matrix.rows) <= 12 and matrix.columns[-1] == "others"
    assert {mistake.true, mistake.predicted} <= {name for name, _ in matrix.rows}
    assert all(sum(cell.count for cell in cells) == 40 for _, cells in matrix.rows)
    assert matrix.note == f"{len(matrix.rows)} of 50 classes, those of the most frequent errors."


def test_the_common_mistake_by_hand_with_the_surest_clips(hand_run: Callable[..., Run]) -> None:
    rows = [
        ("a", "a", 1, "dog", [0.4, 0.6]),
        ("b", "b", 1, "dog", [0.1, 0.9]),
        ("c", "c", 2, "rain", [0.2, 0.8]),
        ("d", "d", 2, "rain", [0.3, 0.7]),
        ("e", "e", 2, "dog", [0.7, 0.3]),
    ]
    found = common_mistake(hand_run("mel", ["dog", "rain"], rows))
    assert found is not None
    assert (found.true, found.predicted, found.count, found.of) == ("dog", "rain", 2, 3)
    assert found.clips == (("dog, predicted as rain", "b"), ("rain, predicted correctly", "c"))


def test_pairs_that_are_as_frequent_as_the_common_mistake_are_counted(hand_run: Callable[..., Run]) -> None:
    rows = [("c1", "g1", 1, "dog", [0.1, 0.9]), ("c2", "g2", 1, "rain", [0.8, 0.2])]
    rows += [(f"c{n}", f"g{n}", 2, "dog", [0.9, 0.1]) for n in range(3, 9)]
    mistake = common_mistake(hand_run("mel", ["dog", "rain"], rows))
    assert mistake is not None and (mistake.count, mistake.equals) == (1, 1)


def test_a_perfect_run_has_no_mistake(made: Callable[..., Results]) -> None:
    (run,) = made(MadeRun(skill=1.0)).runs
    assert common_mistake(run) is None
    assert all(cell.count == 0 for _, cells in small_matrix(run).rows for cell in cells if not cell.correct)


def test_the_line_of_the_dataset(made: Callable[..., Results]) -> None:
    found = found_of(made(MadeRun(folds=(1, 2)), clips=2000))
    assert dataset_line("esc", found.main, []) == ["esc", "800 clips", "10 classes", "2 of 5 folds"]
    whole = found_of(made(MadeRun(task="categories"), dataset="other"))
    assert dataset_line("esc", whole.main, [])[2:] == ["5 categories", "5-fold cross-validation"]
    assert dataset_line("esc", None, [("Clips", "400"), ("Classes", "10"), ("Folds", "5")]) == [
        "esc",
        "400 clips",
        "10 classes",
    ]


def test_what_a_model_is_stands_in_its_run_or_in_its_name(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1, "dog", [0.8, 0.2]) for n in range(8)]
    runs = [
        hand_run("mel", ["dog", "rain"], rows, model="cnn4", model_summary="Four convolutions."),
        hand_run("mfcc", ["dog", "rain"], rows, model="resnet18+texture@weight=0.6"),
        hand_run("rms", ["dog", "rain"], rows, model="m11"),
    ]
    main = found_of(Results(runs, [])).main
    assert main is not None
    said = dict(model_notes(main))
    assert said["cnn4"] == "Four convolutions."
    assert said["resnet18+texture@weight=0.6"].startswith("an ensemble: resnet18 and texture, ")
    assert said["m11"] == "described by: python -m train list m11"


def test_runs_that_are_not_compared_are_listed_by_reason(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.7), MadeRun(features="mel+mfcc", skill=0.8)]
    runs += [MadeRun(features=name, folds=(1,)) for name in ("rms", "zcr")]
    found = found_of(made(*runs, MadeRun(task="categories")))
    problems = [*found.problems, Problem("cqt", "no epoch", unfinished=True)]
    shown = first_screen(found, "esc", [], problems, {})
    expected = "3 of 5 runs are not compared, because 2 lack folds and 1 has another task."
    assert shown["not_compared"] == expected
    reasons = shown["reasons"]
    assert sorted(len(names) for names, _, _ in reasons) == [1, 1, 2]
    assert (["cqt"], "no epoch", True) in reasons
    assert not any(text.startswith("not compared") for _, text, _ in reasons)
    commands = {run.name: f"make train RUN={run.features}" for run in found.runs}
    texts = [text for _, text, _ in first_screen(found, "esc", [], problems, {}, commands)["reasons"]]
    assert (
        sum("continue training it, rms-resnet18" in text and text.endswith("RUN=rms") for text in texts) == 1
    )


def test_without_a_run_there_is_no_plot_and_no_matrix() -> None:
    shown = first_screen(found_of(Results([], [])), "esc", [("Clips", "400")], [], {})
    assert shown["forest"] is shown["small_matrix"] is shown["mistake"] is None
    assert shown["dataset_line"] == ["esc", "400 clips"]
