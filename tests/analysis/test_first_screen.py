"""The forest plot, the small confusion matrix and the most common mistake."""

import numpy as np
import pytest

from analysis import tables
from analysis.findings import findings
from analysis.first_screen import common_mistake, forest, small_matrix
from tests.analysis.made_runs import MadeRun


def forest_of(results):
    found = findings(results)
    return forest(found.facts, found.main)


def test_a_panel_a_model_the_best_first_each_by_accuracy(made):
    runs = [MadeRun(features=name, skill=skill) for name, skill in (("mel", 0.7), ("mfcc", 0.8))]
    runs += [MadeRun(skill=0.9, model="cnn4"), MadeRun(skill=0.6, augment="none")]
    plot = forest_of(made(*runs))
    labels = ["all", "cnn4", "resnet18, augment default", "resnet18, augment none"]
    assert [label for label, _ in plot.panels] == labels
    assert [row.features for row in plot.panels[2][1]] == ["mfcc", "mel"]
    more = forest_of(made(*runs, MadeRun(features="mfcc", skill=0.85, model="cnn4")))
    assert [label for label, _ in more.panels][::3] == ["cnn4", "all"]  # the best has one beside it


def test_the_axis_holds_chance_and_every_interval(made):
    plot = forest_of(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3)))
    assert (plot.low, plot.high) == (0.1, 0.9) and plot.ticks == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_the_small_matrix_counts_as_the_table_does(made):
    (run,) = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.8, seed=1)).runs
    matrix = small_matrix(run)
    assert np.sum(matrix.counts) == 400 and matrix.rest == [] and matrix.totals == [40] * 10
    correct = {name: matrix.counts[place][place] for place, name in enumerate(matrix.names)}
    recall = tables.class_report(run).set_index("class")["recall"]
    assert correct == pytest.approx({name: 40 * recall[name] for name in correct})


def test_of_many_classes_those_of_the_most_frequent_errors_are_shown(made):
    (run,) = made(MadeRun(skill=0.7), clips=2000, classes=50).runs
    matrix = small_matrix(run)
    mistake = common_mistake(run)
    assert {mistake.true, mistake.predicted} <= set(matrix.names)
    assert len(matrix.names) <= 12 and matrix.classes == 50
    assert [sum(row) + rest for row, rest in zip(matrix.counts, matrix.rest)] == matrix.totals


def test_the_common_mistake_by_hand_with_the_surest_clips(hand_run):
    rows = [
        ("a", "a", 1, "dog", [0.4, 0.6]),
        ("b", "b", 1, "dog", [0.1, 0.9]),
        ("c", "c", 2, "rain", [0.2, 0.8]),
        ("d", "d", 2, "rain", [0.3, 0.7]),
        ("e", "e", 2, "dog", [0.7, 0.3]),
    ]
    mistake = common_mistake(hand_run("mel", ["dog", "rain"], rows))
    assert (mistake.true, mistake.predicted, mistake.count, mistake.of) == ("dog", "rain", 2, 3)
    assert (mistake.wrong, mistake.right, mistake.equals) == ("b", "c", 0)
