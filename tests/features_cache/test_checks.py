"""What of a file still holds: by id, by fingerprint, by CRC, and why a file is no use."""

import numpy as np
import pytest

from features_cache.checks import standing
from features_cache.fingerprint import clip_keys
from features_cache.index import read_index, stored_ids
from features_cache.layout import FeatureSpec, read_header


@pytest.fixture
def stands(cache):
    """What stands for a changed table or spec."""
    clips, _ = read_index(cache.folder)
    file = read_header(cache.folder / "mine.h5")
    axes = file.row_axis, file.frame_axis

    def found(order=range(8), change=None, **attributes):
        table = clips.iloc[list(order)].reset_index(drop=True).assign(**(change or {}))
        spec = FeatureSpec.of(file.attributes | attributes, *axes)
        ids, keys = stored_ids(table), clip_keys(table)
        return standing(cache.folder, spec, ids, keys, slice(0, len(ids)), check=True)

    return found


def test_all_holds_where_nothing_changed(stands):
    found = stands()
    assert found.fits
    assert found.done.all()
    assert found.row_of.tolist() == list(range(8))


def test_clips_are_found_in_another_order_and_the_file_does_not_fit(stands):
    found = stands([4, 0, 7])
    assert not found.fits
    assert found.done.all()
    assert found.row_of.tolist() == [4, 0, 7]


def test_new_clips_and_other_audio_are_not_done(stands):
    found = stands(change={"clip_id": ["new", *[f"clip{number}" for number in range(1, 8)]]})
    assert found.row_of[0] == -1
    assert found.done.tolist() == [False] + [True] * 7
    assert not stands(change={"source_hash": "another"}).done.any()


def test_another_type_is_named(stands):
    found = stands(dtype="float32")
    assert not found.done.any()
    assert found.note == "mine.h5 has dtype float16, asked for is dtype float32"


def test_damage_is_not_done_and_counted(cache, stands):
    file = read_header(cache.folder / "mine.h5")
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset + 2 * file.clip_bytes)
        opened.write(b"\xff")
    found = stands()
    assert np.flatnonzero(found.damaged).tolist() == np.flatnonzero(~found.done).tolist() == [2]


@pytest.mark.parametrize("content", [b"", None])
def test_no_file_or_one_that_cannot_be_read_holds_nothing(cache, stands, content):
    path = cache.folder / "mine.h5"
    path.unlink() if content is None else path.write_bytes(content)
    found = stands()
    assert found.file is None
    assert not found.done.any()
    assert ("cannot be read" in found.note) == (content is not None)
