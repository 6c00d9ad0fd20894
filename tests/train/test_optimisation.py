"""Losses and the weights of classes."""

import numpy as np
import pytest

from featurestack.results.tasks.registry import TASKS, task_of
from featurestack.train.optimisation import OBJECTIVES


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_of_every_task_exists(name):
    assert task_of(name).loss in OBJECTIVES


def test_balanced_classes_have_weights_that_average_to_one_over_the_clips():
    counts = np.array([9, 3])
    weights = OBJECTIVES["cross_entropy"].class_weights(counts, 12)
    assert weights @ counts / 12 == pytest.approx(1)


def test_the_weight_of_a_tag_is_its_negative_clips_by_its_positive_ones():
    objective = OBJECTIVES["binary_cross_entropy"]
    assert objective.class_weights(np.array([3, 6]), 12).tolist() == [3, 1]
