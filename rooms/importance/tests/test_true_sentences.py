"""Sentences about importance are true where the truth is known."""

import numpy as np

from featurestack.rooms.importance.tests.simulated import (
    CURVES,
    learning_curves,
)


def test_the_next_doubling_brings_no_more_than_the_page_says():
    rng = np.random.default_rng(0)
    drawn = learning_curves(CURVES["weak inputs"], 8, rng)
    bounded = [(last, true) for last, text, true in drawn if "no more than" in text]
    assert len(bounded) > 4
    assert all(true <= last["gain_high"] for last, true in bounded)


def test_a_flat_curve_has_no_gain_that_can_be_seen():
    drawn = learning_curves(CURVES["easy classes"], 4, np.random.default_rng(0))
    assert all("No gain" in text for _, text, _ in drawn)
