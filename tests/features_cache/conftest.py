"""A cache of eight clips, made without any audio."""

import numpy as np
import pytest

from features_cache import Cache, external

CLIPS = [f"clip{number}" for number in range(8)]


@pytest.fixture
def table():
    return {
        "clip_id": CLIPS,
        "label": ["dog", "cat"] * 4,
        "fold": [1, 1, 1, 1, 2, 2, 2, 2],
        "group": ["a", "b", "c", "d", "e", "f", "g", "h"],
    }


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(8, 4, 5)).astype(np.float32)


@pytest.fixture
def cache(tmp_path, table, values):
    """With one feature, `mine`, (4, 5)."""
    folder = tmp_path / "brought"
    external.create_cache(folder, table, sample_rate=8000, duration=1.0)
    external.write_feature(folder, "mine", values, CLIPS, units="dB")
    return Cache(folder)
