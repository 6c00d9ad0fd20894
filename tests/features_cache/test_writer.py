"""Writing: what is stored, what is kept of a file, files that cannot be made, systems that lack a call."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache.claims import claimed
from features_cache.index import note_verified, read_index, stored_ids
from features_cache.layout import clip_keys, lock, read_header
from features_cache.writer import ready, stored_clips, to_stored, written_to
from tests.features_cache.conftest import CLIPS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\), expected \(2, 2\)"),
        (np.array([[0, np.inf], [np.nan, 0]]), "2 values NaN or infinite, in frames 0 to 1$"),
        (np.array([[0, np.inf], [0, 0]]), "1 value NaN or infinite, in frames 1 to 1$"),
        (np.full((2, 2), -70000.0), "70000 overflows float16; DTYPE=float32"),
    ],
)
def test_what_cannot_be_stored_is_reported(values, message):
    with pytest.raises(ValueError, match=message):
        to_stored(values, (2, 2), np.dtype("float16"))


def test_the_largest_float16_is_stored_and_the_cast_is_numpys():
    values = np.array([[65504.0, 1 / 3], [-65504.0, 1e-9]])
    np.testing.assert_array_equal(to_stored(values, (2, 2), np.dtype("float16")), values.astype(np.float16))


def test_whoever_writes_to_a_feature_is_named_and_its_file_not_replaced_before_that_ends(cache, spec_of):
    spec = read_header(cache.folder / "mine.h5")
    other = spec_of(spec, dtype="float32")
    assert written_to(cache.folder, "mine") == ""
    writing = lock(cache.folder, "mine")
    writing.take(shared=True)
    assert written_to(cache.folder, "mine") == "another process"
    with claimed(cache.folder, ["mine"], (0, 8), wait=False):
        assert written_to(cache.folder, "mine").startswith(f"process {os.getpid()} on ")
    dtypes = []
    threading.Timer(0.2, lambda: (dtypes.append(read_header(spec.path).dtype), writing.release())).start()
    file, share = ready(cache.folder, other, spec.clip_ids, np.zeros(8, np.uint64))
    share.release()
    assert [*dtypes, file.dtype] == ["float16", "float32"]


def test_a_draft_that_a_killed_run_left_is_removed(cache, spec_of):
    spec = read_header(cache.folder / "mine.h5")
    draft = cache.folder / "mine.h5.tmp"
    draft.write_bytes(b"half")
    same = spec_of(spec)
    ready(cache.folder, same, spec.clip_ids, np.zeros(8, np.uint64))[1].release()
    assert not draft.exists()


@pytest.fixture
def kept(cache, spec_of):
    """What the file of `mine` holds for a changed table or spec."""
    clips, _ = read_index(cache.folder)
    spec = spec_of(read_header(cache.folder / "mine.h5"))

    def found(order=range(8), change=None, **attributes):
        table = clips.iloc[list(order)].reset_index(drop=True).assign(**(change or {}))
        ids, keys = stored_ids(table), clip_keys(table)
        return stored_clips(cache.folder, replace(spec, **attributes), ids, keys, slice(0, len(ids)))

    return found


def test_clips_are_found_by_id_in_any_order_and_only_the_same_table_fits(kept):
    for order in (range(8), [4, 0, 7]):
        found = kept(order)
        assert found.fits == (len(order) == 8) and found.done.all()
        assert found.row_of.tolist() == list(order)


def test_new_clips_and_other_audio_are_not_done(kept):
    found = kept(change={"clip_id": ["new", *[f"clip{number}" for number in range(1, 8)]]})
    assert found.row_of[0] == -1
    assert found.done.tolist() == [False] + [True] * 7
    assert not kept(change={"source_hash": "another"}).done.any()


def test_another_type_is_named(kept):
    found = kept(dtype="float32")
    assert not found.done.any()
    assert found.note == "mine.h5 has dtype float16, asked for is dtype float32"


@pytest.mark.parametrize("content", [b"", None])
def test_no_file_or_one_that_cannot_be_read_holds_nothing(cache, kept, content):
    path = cache.folder / "mine.h5"
    path.unlink() if content is None else path.write_bytes(content)
    found = kept()
    assert found.file is None
    assert not found.done.any()
    assert ("cannot be read" in found.note) == (content is not None)


def test_a_file_that_is_as_it_was_verified_is_not_read_again_until_damage_is_found(cache, kept, spoil):
    file = read_header(cache.folder / "mine.h5")
    note_verified(cache.folder, ["mine"])
    times = file.path.stat().st_atime_ns, file.path.stat().st_mtime_ns
    spoil(file, 2)
    assert np.flatnonzero(kept().damaged).tolist() == np.flatnonzero(~kept().done).tolist() == [2]
    os.utime(file.path, ns=times)
    assert kept().done.all()  # as a bit that the disk has flipped
    with pytest.raises(RequestError, match="clip2: damaged"):
        cache.read("mine", CLIPS)
    assert not kept().done[2]
