"""Separability before training: planted, absent, undefined."""

import numpy as np
import pytest

from featurestack.analysis.data_section import (
    neighbour_accuracy,
    principal_components,
    standardised,
)
from featurestack.features_cache.row_statistics import over_time

RNG = np.random.default_rng


def clips(apart, count=200, classes=4):
    """Clips (count, 6) of unit spread and their classes, whose centres have the
    deviation `apart`.
    """
    target = np.arange(count) % classes
    centres = RNG(1).normal(size=(classes, 6)) * apart
    return RNG(2).normal(size=(count, 6)) + centres[target], target


def accuracy(values, target):
    components = principal_components(standardised(values))
    return neighbour_accuracy(components, target, np.arange(len(target)))


def test_separate_classes_measure_higher_than_mixed_ones_in_any_unit():
    mixed, near, far = (accuracy(*clips(apart)) for apart in (0, 1, 10))
    assert mixed < 0.31 and mixed < near < far  # chance is 0.25
    values, target = clips(1)
    assert accuracy(values * [1e4, 1, 1e-3, 1, 1, 1] + 300, target) == pytest.approx(
        near
    )


def test_a_feature_without_variation_separates_nothing():
    assert accuracy(np.ones((20, 3)), np.arange(20) % 2) == 0


def test_a_neighbour_is_of_another_recording():
    values = np.array([[0.0], [0.1], [0.3], [5]])
    target = np.array([0, 0, 1, 1])
    recording = np.arange(4)
    assert neighbour_accuracy(values, target, recording) == 0.75
    # The first two were cut from one recording: the nearest of another is the third, of
    # the other class.
    assert neighbour_accuracy(values, target, np.array(["a", "a", "b", "c"])) == 0.25
    assert neighbour_accuracy(values, target, np.zeros(4, str)) == 0


def test_summary_is_mean_and_deviation_over_time():
    feature = np.array([[[1, 3], [2, 2]], [[0, 4], [5, 5]]], dtype=np.float16)
    assert over_time(feature).tolist() == [[2, 2, 1, 0], [2, 5, 2, 0]]
