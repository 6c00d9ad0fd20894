"""failures.csv and costs.csv: replaced by clip and by feature; a damaged file counts as none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features_cache import Cache
from features_cache.external import create_cache, write_feature
from features_cache.records import (
    COSTS,
    FAILURES,
    extraction,
    read_costs,
    read_failures,
    write_costs,
    write_failures,
)

CLIPS = pd.DataFrame({"clip_id": ["a", "b", "c"], "path": ["a.wav", "b.wav", "c.wav"]})


def told(folder: Path) -> list[tuple[str, str, str]]:
    return [(one["clip_id"], one["feature"], one["reason"]) for one in read_failures(folder)]


def test_only_what_was_tried_again_is_replaced(tmp_path: Path) -> None:
    write_failures(tmp_path, CLIPS, np.arange(3), [(0, "all", "empty"), (1, "mel", "NaN, twice")])
    assert told(tmp_path) == [("a", "all", "empty"), ("b", "mel", "NaN, twice")]
    write_failures(tmp_path, CLIPS, np.array([1, 2]), [(2, "all", "missing")])
    assert told(tmp_path) == [("a", "all", "empty"), ("c", "all", "missing")]


def test_clips_that_left_the_table_are_no_longer_told(tmp_path: Path) -> None:
    write_failures(tmp_path, CLIPS, np.arange(3), [(0, "all", "empty"), (2, "all", "empty")])
    write_failures(tmp_path, CLIPS.iloc[1:], np.array([0]), [])
    assert told(tmp_path) == [("c", "all", "empty")]


@pytest.mark.parametrize("content", [b"", b"name,why\nx,y\n", b"\xff\xfe\x00"])
def test_a_file_of_something_else_tells_nothing_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FAILURES).write_bytes(content)
    assert read_failures(tmp_path) == []
    write_failures(tmp_path, CLIPS, np.arange(3), [(1, "all", "empty")])
    assert told(tmp_path) == [("b", "all", "empty")]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Four clips with two features of 6 and 2 values each, in float32."""
    ids = ["a", "b", "c", "d"]
    create_cache(tmp_path / "features", {"clip_id": ids, "label": list("xyxy"), "fold": [1, 1, 2, 2]})
    write_feature(tmp_path / "features", "wide", np.zeros((4, 2, 3), np.float32), ids, dtype="float32")
    write_feature(tmp_path / "features", "small", np.zeros((4, 1, 2), np.float32), ids, dtype="float32")
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
