"""A cache's CSV files that are damaged count as absent."""

import os

import pytest

from featurestack.features_cache.side_files import (
    COSTS,
    FAILURES,
    read_costs,
    read_failures,
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name,why\nx,y\n",
        b"\xff\xfe\x00",
        b"feature,seconds_a_clip\nmel,x\n",
        None,
    ],
)
def test_files_of_something_else_count_as_none_and_a_fifo_is_not_waited_for(
    tmp_path, content
):
    for name in (FAILURES, COSTS):
        (
            (tmp_path / name).write_bytes(content)
            if content is not None
            else os.mkfifo(tmp_path / name)
        )
    assert read_failures(tmp_path) == [] and read_costs(tmp_path) == {}
