"""Clips with similar audio."""

import numpy as np

from featurestack.pipeline.checks.leaks import correlate
from tests.pipeline.checks.sounds import noise


def test_two_clips_with_one_landmark_in_common_are_not_similar():
    y = noise(1)
    other = np.append(y[-1_600:], noise(2)[1_600:])
    assert correlate(y, other, 1_600 - len(y)) == 0
