"""What extraction took: kept by feature, counted once a feature, and never needed."""

from pathlib import Path

import numpy as np
import pytest

from features_cache import Cache
from features_cache.bring import create_cache, create_feature
from features_cache.tools.costs import COSTS, extraction, read_costs, write_costs


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Four clips with two features of 6 and 2 values each, in float32."""
    ids = ["a", "b", "c", "d"]
    create_cache(tmp_path / "features", {"clip_id": ids, "label": list("xyxy"), "fold": [1, 1, 2, 2]})
    create_feature(tmp_path / "features", "wide", np.zeros((4, 2, 3), np.float32), ids, dtype="float32")
    create_feature(tmp_path / "features", "small", np.zeros((4, 1, 2), np.float32), ids, dtype="float32")
    return Cache(tmp_path / "features")


def test_later_costs_join_earlier_ones(tmp_path: Path) -> None:
    write_costs(tmp_path, {"mel": 0.25, "chroma": 0.5})
    write_costs(tmp_path, {"chroma": 1.0})
    assert read_costs(tmp_path) == {"mel": 0.25, "chroma": 1.0}


def test_a_feature_counts_once_and_seconds_need_all(cache: Cache) -> None:
    assert extraction(cache, ["wide", "wide", "small"]) == {"megabytes": 4 * (6 + 2) * 4 / 1e6}
    write_costs(cache.folder, {"wide": 0.5})
    assert "seconds" not in extraction(cache, ["wide", "small"])
    assert extraction(cache, ["wide", "wide"])["seconds"] == 4 * 0.5


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"feature\nmel\n", b"feature,seconds_a_clip\nmel,x\nmel\n"]
)
def test_a_damaged_file_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / COSTS).write_bytes(content)
    assert read_costs(tmp_path) == {}
    write_costs(tmp_path, {"mel": 1.0})
    assert read_costs(tmp_path) == {"mel": 1.0}
