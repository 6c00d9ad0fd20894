"""A cache of eight clips, made without any audio."""

import numpy as np
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import read_header
from tests.golden.commands import flip_bit

CLIPS = [f"clip{number}" for number in range(8)]
TABLE = {
    "clip_id": CLIPS,
    "label": ["dog", "cat"] * 4,
    "fold": [1] * 4 + [2] * 4,
    "group": list("abcdefgh"),
}


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(8, 4, 5)).astype(np.float16)


@pytest.fixture
def cache(tmp_path, values):
    """A cache with one feature, `mine`, of 4 rows and 5 frames."""
    folder = tmp_path / "brought"
    external.create_cache(folder, TABLE, sample_rate=8000, duration=1.0)
    external.write_feature(folder, "mine", values, CLIPS, units="dB")
    return Cache(folder)


@pytest.fixture
def file(cache):
    return read_header(cache.folder / "mine.h5")


@pytest.fixture
def spoil(file):
    """Change a byte of a clip's values, or of its state word."""

    def flip(row, *, state=None):
        values = file.values_offset + row * file.clip_bytes + 1
        place = values if state is None else file.state_offset + 8 * row + state
        flip_bit(file.path, place)

    return flip
