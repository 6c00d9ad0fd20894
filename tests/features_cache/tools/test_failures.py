"""failures.csv: what was tried again is told anew, the rest stays, and a stranger's file tells nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features_cache.tools.failures import FAILURES, read_failures, write_failures

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
