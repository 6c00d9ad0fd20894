"""Writing: what is stored, what is kept of a file, files that cannot be made."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache.claims import claimed
from features_cache.feature_file import AXES, FeatureSpec, clip_keys, lock, read_header
from features_cache.index import note_verified, read_index, stored_ids
from features_cache.writer import ready, stored_clips, to_stored, written_to
from tests.features_cache.conftest import CLIPS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\), expected \(2, 2\)"),
        (np.array([[0, np.inf], [np.nan, 0]]), "2 values NaN or infinite, in frames 0 to 1$"),
        (np.array([[0, np.inf], [0, 0]]), "1 value NaN or infinite, in frames 1 to 1$"),
        (np.full((2, 2), -70000.0), "70000 overflows float16; DTYPE=float32"),
        (np.array([[65504.0, 1 / 3], [-65504.0, 1e-9]]), ""),
    ],
)
def test_what_cannot_be_stored_is_reported_and_the_cast_is_numpys(values, message):
    if message:
        with pytest.raises(ValueError, match=message):
            to_stored(values, (2, 2), np.dtype("float16"))
    else:
        stored = to_stored(values, (2, 2), np.dtype("float16"))
        np.testing.assert_array_equal(stored, values.astype(np.float16))


@pytest.fixture
def spec(file):
    """What the file was made from."""
    given = {key: value for key, value in file.attributes.items() if key != "format_version"}
    return FeatureSpec(**given | {axis: getattr(file, axis) for axis in AXES})


def test_whoever_writes_to_a_feature_is_named_and_its_file_not_replaced_before_that_ends(cache, file, spec):
    assert written_to(cache.folder, "mine") == ""
    writing = lock(cache.folder, "mine")
    writing.take(shared=True)
    assert written_to(cache.folder, "mine") == "another process"
    with claimed(cache.folder, ["mine"], (0, 8), wait=False):
        assert written_to(cache.folder, "mine").startswith(f"process {os.getpid()} on ")
    dtypes = []
    threading.Timer(0.2, lambda: (dtypes.append(read_header(file.path).dtype), writing.release())).start()
    draft = cache.folder / "mine.h5.tmp"
    draft.write_bytes(b"a killed run's")
    other = replace(spec, dtype="float32")
    made, share = ready(cache.folder, other, file.clip_ids, np.zeros(8, np.uint64))
    share.release()
    assert [*dtypes, made.dtype] == ["float16", "float32"] and not draft.exists()


@pytest.fixture
def kept(cache, spec):
    """What the file of `mine` holds for a changed table or spec."""
    clips, _ = read_index(cache.folder)

    def stored(order=range(8), change=None, **attributes):
        table = clips.iloc[list(order)].reset_index(drop=True).assign(**(change or {}))
        ids, keys = stored_ids(table), clip_keys(table)
        return stored_clips(cache.folder, replace(spec, **attributes), ids, keys, slice(0, len(ids)))

    return stored


def test_clips_are_found_by_id_in_any_order_and_only_the_same_table_fits(kept):
    for order in (range(8), [4, 0, 7]):
        stored = kept(order)
        assert stored.fits == (len(order) == 8) and stored.done.all()
        assert stored.row_of.tolist() == list(order)


def test_new_clips_other_audio_another_type_and_a_file_that_cannot_be_read_are_not_done(cache, kept):
    new = kept(change={"clip_id": ["new", *CLIPS[1:]]})
    assert new.row_of[0] == -1 and np.flatnonzero(~new.done).tolist() == [0]
    assert not kept(change={"source_hash": "another"}).done.any()
    other = kept(dtype="float32")
    assert not other.done.any()
    assert other.note == "mine.h5 has dtype float16, asked for is dtype float32"
    (cache.folder / "mine.h5").write_bytes(b"")
    assert not kept().done.any() and "cannot be read" in kept().note
    (cache.folder / "mine.h5").unlink()
    assert not kept().done.any() and not kept().note


def test_a_file_that_is_as_it_was_verified_is_not_read_again_until_damage_is_found(cache, kept, file, spoil):
    note_verified(cache.folder, ["mine"])
    times = file.path.stat().st_atime_ns, file.path.stat().st_mtime_ns
    spoil(2)
    assert np.flatnonzero(kept().damaged).tolist() == np.flatnonzero(~kept().done).tolist() == [2]
    os.utime(file.path, ns=times)
    assert kept().done.all()  # as a bit that the disk has flipped
    with pytest.raises(RequestError, match="clip2: damaged"):
        cache.read("mine", CLIPS)
    assert not kept().done[2]
