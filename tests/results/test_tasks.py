"""The tasks: names, targets, predictions; thresholds."""

import numpy as np
import pandas as pd
import pytest

from featurestack.comparison import average_precision as ap
from featurestack.comparison.metrics import (
    are_probabilities,
    decide,
    decision_scores,
    indicator,
    within_classes,
)
from featurestack.comparison.scores import epoch_scores
from featurestack.results.tasks import CLASSES, TAGS, names_of
from tests.comparison.test_average_precision import drawn

NAMES = ["dog", "rain"]
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_history_has_the_scores_of_an_epoch_and_one_of_them_ranks(task):
    targets = task.targets(pd.Series(["dog", "rain", "dog"]), NAMES)
    measured = epoch_scores(task.metric, targets, PROBABILITIES)
    columns = [f"test_{name}" for name in measured]
    assert list(task.metric.history_columns[-len(columns) :]) == columns
    assert f"train_{task.metric.name}" in task.metric.history_columns


@pytest.mark.parametrize(
    ("task", "texts"), [(CLASSES, ["rain", "cat"]), (TAGS, ["rain;dog", "dog;cat"])]
)
def test_a_label_that_is_no_class_is_known_by_its_target(task, texts):
    targets = task.targets(pd.Series(texts), NAMES)
    assert within_classes(targets).tolist() == [True, False]
    assert indicator(targets, 2).any(axis=1).tolist() == [True, False]


def test_probabilities_of_classes_sum_to_one_and_those_of_tags_are_at_most_one():
    rows = np.array([[0.5, 0.5], [0.9, 0.9], [0.2, 1.1]])
    assert are_probabilities(rows, multilabel=False).tolist() == [True, False, False]
    assert are_probabilities(rows, multilabel=True).tolist() == [True, True, False]


def test_every_tag_above_its_threshold_is_predicted_else_the_most_probable_class():
    above = decide(PROBABILITIES, np.array([0.15, 0.3]))
    assert names_of(above, NAMES) == ["dog", "dog;rain", "dog;rain"]
    assert names_of(decide(PROBABILITIES), NAMES) == ["dog", "rain", "dog"]
    assert names_of(decide(PROBABILITIES, 1.0), NAMES) == ["", "", ""]


def test_thresholds_have_the_highest_f1_and_come_from_the_other_folds():
    target, scores = drawn(5, equals=True)
    fitted = ap.fit_thresholds(target, scores)
    found = decision_scores(target, scores > fitted)["f1"]
    tried = [
        decision_scores(target, scores > value)["f1"]
        for value in np.linspace(-0.05, 1.45, 61)
    ]
    assert found == pytest.approx(np.max(tried, axis=0))
    folds = np.arange(len(target)) % 4
    crossed = ap.cross_fitted_thresholds(target, scores, folds)
    others = folds != 1
    assert (
        crossed[folds == 1] == ap.fit_thresholds(target[others], scores[others])
    ).all()
