"""No number of a report depends on the names or the order of classes, clips, recordings
or folds.
"""

import numpy as np
import pytest

from featurestack.analysis.findings import findings
from featurestack.analysis.report import tables
from featurestack.analysis.report.runs import rankings
from tests.analysis.simulated import simulated_run

FEATURES = ("mel", "mfcc", "mel+mfcc")


def made(rng, task):
    """Labels, probabilities of three runs, recordings and folds of unequal sizes."""
    classes = int(rng.integers(2, 5))
    sizes = rng.integers(1, 7, 30)
    recording = np.repeat(np.arange(30), sizes)
    fold = 1 + rng.choice(4, 30, p=[0.1, 0.2, 0.3, 0.4])[recording]
    target = rng.integers(0, classes, len(recording))
    labels = np.eye(classes, dtype=bool)[target]
    if task == "tags":
        labels |= rng.random(labels.shape) < 0.3
    runs = []
    for skill in (0.5, 0.7, 1.0):
        values = skill * labels + rng.random(labels.shape)
        runs.append(values / values.sum(axis=1, keepdims=True))
    return labels, runs, recording, fold


def renamed(rng, labels, runs, recording, fold):
    """The same with other names of classes, clips, recordings and folds."""
    clips = rng.permutation(len(labels))
    classes = rng.permutation(labels.shape[1])
    both = np.ix_(clips, classes)
    return (
        labels[both],
        [values[both] for values in runs],
        rng.permutation(30)[recording][clips],
        1 + rng.permutation(4)[fold - 1][clips],
    )


def numbers(task, labels, runs, recording, fold):
    """Everything that a report states, sorted where classes have an order."""
    made = [
        simulated_run(name, recording, fold, labels, values, task=task)
        for name, values in zip(FEATURES, runs)
    ]
    (main,) = rankings(made)
    found = findings(made)
    kept = tables.class_report(main.best).drop(columns="class").to_numpy(float)
    rows = found.tables["comparison"].select_dtypes("number")
    stated = [
        [(run.score.value, run.score.low, run.score.high) for run in main.runs],
        [(own.low, own.high, own.p) for own in main.differences],
        kept[:-1][np.lexsort(kept[:-1].T.round(9))].ravel(),
        kept[-1],
        rows.to_numpy(float).ravel(),
        [main.chance, main.against_chance.p],
    ]
    return found.chance, np.concatenate([*map(np.ravel, stated)])


@pytest.mark.parametrize("task", ["classes", "tags"])
@pytest.mark.parametrize("seed", range(2))
def test_names_and_order_change_no_number(task, seed):
    rng = np.random.default_rng(seed)
    drawn = made(rng, task)
    chance, stated = numbers(task, *drawn)
    for _ in range(2):
        again, others = numbers(task, *renamed(rng, *drawn))
        assert again == chance
        assert others == pytest.approx(stated, abs=1e-9, nan_ok=True)


def test_chance_is_the_best_constant_answer_whatever_the_classes_are_called():
    """8 clips of two classes each, in folds of unequal size."""
    target = np.repeat([0, 1], 8)
    fold = np.array([1, 1, 1, 1, 1, 2, 3, 4, 1, 2, 2, 3, 3, 4, 4, 4])
    for names in (target, 1 - target):
        labels = np.eye(2, dtype=bool)[names]
        (main,) = rankings(
            [simulated_run("mel", np.arange(16), fold, labels, labels + 0.0)]
        )
        assert main.chance == 0.5
