"""Intervals by resampling recordings: known answers, and how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from results.bootstrap import accuracy_interval, effective_recordings, fold_weights, recording_sums


def interval(correct, groups):
    return accuracy_interval(correct[:, None], groups, np.ones(len(correct)))[0]


def test_of_one_clip_a_recording_it_is_wilsons_interval():
    correct = np.array([1.0] * 90 + [0.0] * 310)
    wilson = stats.binomtest(90, 400).proportion_ci(method="wilson")
    assert interval(correct, np.arange(400)) == pytest.approx([wilson.low, wilson.high], abs=0.003)


def test_copies_of_a_clip_within_a_recording_add_nothing():
    correct = np.array([1.0] * 60 + [0.0] * 40)
    copied = interval(np.repeat(correct, 5), np.repeat(np.arange(100), 5))
    assert copied == pytest.approx(interval(correct, np.arange(100)), abs=0.01)


def test_a_perfect_score_has_an_interval():
    low, high = interval(np.ones(40), np.repeat(np.arange(20), 2))
    squared = stats.t.ppf(0.975, 19) ** 2 / 20
    assert (low, high) == pytest.approx((1 / (1 + squared), 1))


def test_one_recording_has_no_interval():
    assert np.isnan(interval(np.array([1.0, 0.0]), np.array(["a", "a"]))).all()


def test_recordings_of_many_clips_count_like_fewer():
    assert effective_recordings(np.array([[60.0]] * 3 + [[1.0]] * 60))[0] == pytest.approx(240**2 / 10860)
    assert effective_recordings(np.full((20, 1), 4.0))[0] == 20


@pytest.mark.parametrize(
    ("sizes", "accuracy", "widest"),
    [([60] * 3 + [1] * 60, 0.8, 0.45), ([4] * 5, 0.7, 0.65), ([4] * 20, 0.95, 0.16), ([2] * 200, 0.9, 0.08)],
)
def test_intervals_hold_the_truth_about_as_often_as_stated(sizes, accuracy, widest):
    """Half of a clip's difficulty is its recording's; at least 92 % of 150 intervals, and not too wide."""
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(len(sizes)), sizes)
    held = 0
    widths = []
    for _ in range(150):
        difficulty = np.sqrt(0.5) * (rng.normal(size=len(sizes))[place] + rng.normal(size=len(place)))
        low, high = interval((difficulty < stats.norm.ppf(accuracy)).astype(float), place)
        held += low <= accuracy <= high
        widths.append(high - low)
    assert stats.binomtest(held, 150, 0.95, alternative="less").pvalue > 0.01
    assert np.mean(widths) < widest


def test_sums_are_in_the_order_of_the_recordings():
    assert recording_sums(np.array([[1.0], [2], [4]]), np.array(["b", "a", "b"])).tolist() == [[2], [5]]


def test_fold_weights_make_a_mean_over_clips_the_mean_over_folds():
    weights = fold_weights(np.array([1, 1, 1, 2]))
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
