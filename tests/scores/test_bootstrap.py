"""Intervals by resampling recordings: known answers, and how often they hold the
truth.
"""

import numpy as np
import pytest
from scipy import stats

from featurestack.scores.bootstrap import accuracy_interval


def interval(correct, groups):
    return accuracy_interval(correct[:, None], groups, np.ones(len(correct)))[0]


def test_with_one_clip_a_recording_it_is_wilsons_interval():
    correct = np.array([1.0] * 90 + [0.0] * 310)
    wilson = stats.binomtest(90, 400).proportion_ci(method="wilson")
    assert interval(correct, np.arange(400)) == pytest.approx(
        [wilson.low, wilson.high], abs=0.003
    )


def test_a_perfect_score_has_an_interval():
    low, high = interval(np.ones(40), np.repeat(np.arange(20), 2))
    squared = stats.t.ppf(0.975, 19) ** 2 / 20
    assert (low, high) == pytest.approx((1 / (1 + squared), 1))


def test_a_wider_interval_counts_fewer_clips_and_stays_below_one_beside_errors():
    correct = np.array([1.0] * 77 + [0.0] * 3)[:, None]
    given = correct, np.arange(80), np.ones(80)
    ((_, high),) = accuracy_interval(*given)
    ((low, wide),) = accuracy_interval(*given, 2.25)
    expected = stats.binomtest(77, 80).proportion_ci(method="wilson")
    assert low < expected.low and high < wide < 1


@pytest.mark.parametrize(
    ("sizes", "accuracy", "widest"),
    [
        ([4] * 5, 0.7, 0.65),
        ([4] * 20, 0.95, 0.16),
    ],
)
def test_intervals_hold_the_truth_about_as_often_as_stated(sizes, accuracy, widest):
    """Clips of a recording share half of the variance of their difficulty.

    The number of intervals that hold the truth is not significantly below 95 %.
    """
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(len(sizes)), sizes)
    held = 0
    widths = []
    for _ in range(150):
        difficulty = np.sqrt(0.5) * (
            rng.normal(size=len(sizes))[place] + rng.normal(size=len(place))
        )
        low, high = interval(
            (difficulty < stats.norm.ppf(accuracy)).astype(float), place
        )
        held += low <= accuracy <= high
        widths.append(high - low)
    assert stats.binomtest(held, 150, 0.95, alternative="less").pvalue > 0.01
    assert np.mean(widths) < widest
