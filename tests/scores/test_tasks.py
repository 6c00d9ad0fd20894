"""The tasks: names, targets, predictions, scores."""

import numpy as np
import pandas as pd
import pytest

from featurestack.scores.tasks import TASKS, task_of
from featurestack.scores.tasks.base import epoch_scores
from featurestack.scores.tasks.classes import CLASSES
from featurestack.scores.tasks.tags import TAGS
from featurestack.train.optimisation import OBJECTIVES

NAMES = ["dog", "rain"]
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize("task", [CLASSES, TAGS], ids=["classes", "tags"])
def test_history_has_the_scores_of_an_epoch_and_one_of_them_ranks(task):
    targets = task.targets(pd.Series(["dog", "rain", "dog"]), NAMES)
    measured = epoch_scores(task, targets, PROBABILITIES)
    columns = [f"test_{name}" for name in measured]
    assert list(task.history_columns[-len(columns) :]) == columns
    assert f"train_{task.score}" in task.history_columns


@pytest.mark.parametrize(
    ("task", "rows"),
    [(CLASSES, [[0.5, 0.5], [0.9, 0.9]]), (TAGS, [[0.9, 0.9], [0.2, 1.1]])],
)
def test_probabilities_of_classes_sum_to_one_and_those_of_tags_are_at_most_one(
    task, rows
):
    assert task.sound(np.array(rows)).tolist() == [True, False]


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_of_every_task_exists(name):
    assert task_of(name).loss in OBJECTIVES


def test_every_tag_above_its_threshold_is_predicted():
    above = np.array([[True, True], [False, True], [False, False]])
    assert TAGS.predicted(PROBABILITIES, above, NAMES) == ["dog;rain", "rain", ""]


def test_decisions_about_tags_of_a_fold_do_not_depend_on_its_labels():
    rng = np.random.default_rng(0)
    probabilities = rng.random((1, 60, 2))
    labels = rng.random((60, 2)) < 0.5
    folds = np.repeat([1, 2, 3], 20)
    changed = labels.copy()
    changed[folds == 1] = ~labels[folds == 1]
    before = TAGS.decisions(probabilities, labels, folds)[0, folds == 1]
    after = TAGS.decisions(probabilities, changed, folds)[0, folds == 1]
    assert (before == after).all()
