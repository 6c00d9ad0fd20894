"""A cache of eight clips, made without any audio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features_cache import Cache, external
from features_cache.layout import AXES, FeatureFile, FeatureSpec

CLIPS = [f"clip{number}" for number in range(8)]


@pytest.fixture
def table() -> dict[str, Any]:
    return {
        "clip_id": CLIPS,
        "label": ["dog", "cat"] * 4,
        "fold": [1, 1, 1, 1, 2, 2, 2, 2],
        "group": list("abcdefgh"),
    }


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 4, 5)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path, table, values) -> Cache:
    """With one feature, `mine`, (4, 5)."""
    folder = tmp_path / "brought"
    external.create_cache(folder, table, sample_rate=8000, duration=1.0)
    external.write_feature(folder, "mine", values, CLIPS, units="dB")
    return Cache(folder)


@pytest.fixture
def spec_of() -> Callable[..., FeatureSpec]:
    """What a file was made from, changed."""

    def spec(file: FeatureFile, **change: Any) -> FeatureSpec:
        given = {key: value for key, value in file.attributes.items() if key != "format_version"}
        return FeatureSpec(**given | {axis: getattr(file, axis) for axis in AXES} | change)

    return spec


@pytest.fixture
def spoil() -> Callable[..., None]:
    """Change a byte of a clip's values, or of its state word."""

    def flip(file: FeatureFile, row: int, *, state: int | None = None) -> None:
        values = file.values_offset + row * file.clip_bytes + 1
        place = values if state is None else file.state_offset + 8 * row + state
        with file.path.open("r+b") as opened:
            opened.seek(place)
            byte = opened.read(1)[0]
            opened.seek(place)
            opened.write(bytes([byte ^ 1]))

    return flip
