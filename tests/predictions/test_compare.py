"""Verdicts on arrays: the report's own numbers, ties, several labels, bad input."""

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis.ranking import rankings
from featurestack.commandline.errors import RequestError
from tests.analysis.made_runs import of_sets

CLASSES = [*"abc"]


def made_arrays(*skills, clips=240):
    """Labels, groups, folds, and probabilities of each skill."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, clips)
    given = {}
    for number, skill in enumerate(skills):
        logits = rng.normal(size=(clips, 3))
        logits[np.arange(clips), y] += skill
        powers = np.exp(logits)
        given[f"m{number}"] = powers / powers.sum(axis=1, keepdims=True)
    groups = np.arange(clips) // 4
    return np.array(CLASSES)[y], groups, groups % 5 + 1, given


def test_arrays_get_the_numbers_of_the_runs_they_come_from(made):
    (ranking,) = rankings(made(*of_sets(rms=0.5, mel=0.8, mfcc=0.78)).runs)
    best = ranking.best
    compared = fs.compare(
        {run.features: run.probabilities[0] for run in ranking.runs},
        np.array(best.classes)[best.target],
        groups=best.groups,
        folds=best.folds,
    )
    table = compared.table
    assert table["model"].tolist() == [run.features for run in ranking.runs]
    assert table["score"].tolist() == ranking.accuracy.tolist()
    assert table[["low", "high"]].to_numpy().tolist() == ranking.interval.tolist()
    assert table["p"][1:].tolist() == ranking.tests.p.tolist()
    assert table["verdict"].tolist() == ["best", "tied", "clearly worse"]
    assert "Tied with mfcc" in repr(compared)


def test_predicted_classes_and_frames_are_compared_too():
    labels, groups, folds, given = made_arrays(2.0, 0.2)
    frames = {name: pd.DataFrame(own, columns=CLASSES) for name, own in given.items()}
    of_frames = fs.compare(frames, labels, groups, folds)
    classes = {name: np.array(CLASSES)[own.argmax(1)] for name, own in given.items()}
    of_classes = fs.compare(classes, labels, groups, folds)
    assert of_classes.table["score"].tolist() == of_frames.table["score"].tolist()
    assert of_classes.table["p"][1] == of_frames.table["p"][1] < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": [1, 2]}, "group: 2 values for 240 clips"),
        ({"predictions": {"x": np.ones((3, 3))}}, r"expected \(240, 3\), or"),
        ({"predictions": {"x": np.full((240, 3), np.nan)}}, "row 0, column a: 'nan'"),
        ({"labels": ["a"] * 240}, "all clips have one label|have the shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    labels, groups, folds, given = made_arrays(1.0)
    arguments = {"predictions": given, "labels": labels, "groups": groups}
    with pytest.raises(RequestError, match=message):
        fs.compare(**(arguments | {"folds": folds} | change))
