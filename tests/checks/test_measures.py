"""Measures of one clip."""

import numpy as np
import pytest

from featurestack.checks.measures import measure_clip

RATE = 16_000


def test_measures_by_known_answers():
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    measured = measure_clip(np.pad(tone, RATE // 4), RATE, 1)
    assert measured.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.05)
    assert measured.bandwidth == pytest.approx(1_000, abs=300)
    flat = [0, 1, 1, 1, 0, 1, 1, -1, -1, -1]
    assert measure_clip(np.array(flat), RATE, 1).clipped == 0.6
