"""Reading: in whole or in part, matched by id; never what is missing or damaged."""

import pickle

import numpy as np
import pytest

from commandline import RequestError
from features_cache import Cache, UnreadableClips
from features_cache.index import read_index, refresh
from features_cache.layout import read_header
from features_cache.state import forget, write_clip

CLIPS = [f"clip{number}" for number in range(8)]


def test_a_range_of_rows_is_both_ends_included(cache):
    whole = cache.read("mine", CLIPS)
    np.testing.assert_array_equal(cache.read("mine:1-2", CLIPS), whole[:, 1:3])
    with pytest.raises(RequestError, match="mine:1-4: it has rows 0 to 3"):
        cache.read("mine:1-4", CLIPS)


def test_rows_are_matched_by_id_when_the_table_has_another_order(cache, values):
    clips, settings = read_index(cache.folder)
    order = [3, 7, 0, 1, 2, 6, 5, 4]
    fewer = clips.iloc[order[:6]].reset_index(drop=True)
    refresh(cache.folder, fewer, settings)
    opened = Cache(cache.folder)
    assert opened.clips["clip_id"].tolist() == [CLIPS[row] for row in order[:6]]
    np.testing.assert_array_equal(opened.read("mine", np.arange(6)), values[order[:6]].astype(np.float16))
    assert opened["mine"].done().all()


def test_what_is_missing_or_damaged_is_reported_and_not_returned(cache):
    file = read_header(cache.folder / "mine.h5")
    forget(file, np.array([2]))
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset + 5 * file.clip_bytes + 3)
        opened.write(b"\x55\xaa")
    assert cache.readable(["mine"]).tolist() == [True, True, False, True, True, True, True, True]
    with pytest.raises(UnreadableClips) as refused:
        cache.read("mine", CLIPS)
    assert refused.value.reasons == {"clip2": "not done", "clip5": "damaged"}
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    assert cache.read("mine", ["clip0", "clip7"]).shape == (2, 4, 5)


def test_a_clip_that_is_written_again_is_checked_again(cache, values):
    before = cache.read("mine", ["clip3"])
    file = cache["mine"].file
    state = int(file.map(state=True)[3])
    with file.path.open("r+b", buffering=0) as opened:
        write_clip(opened.fileno(), file, 3, values[4].astype(np.float16), state ^ 1)
        with pytest.raises(UnreadableClips, match="clip3: damaged"):
            cache.read("mine", ["clip3"])
        write_clip(opened.fileno(), file, 3, before[0], state)
    np.testing.assert_array_equal(cache.read("mine", ["clip3"]), before)


def test_other_audio_settings_are_told(cache):
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips, settings | {"sample_rate": 22050})
    with pytest.raises(RequestError, match=r"was made from 8000 samples at 8000 Hz.*22050 Hz"):
        Cache(cache.folder).read("mine", CLIPS)


def test_values_of_other_audio_do_not_count(cache):
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips.assign(source_hash="another"), settings, slice(0, 8))
    assert not Cache(cache.folder).readable(["mine"]).any()
    with pytest.raises(UnreadableClips, match="made from other audio or parameters"):
        Cache(cache.folder).read("mine", ["clip1"])


def test_axes_and_attributes_are_read_when_asked_for(cache):
    feature = cache["mine"]
    assert (feature.rows, feature.frames, feature.dtype) == (4, 5, np.float16)
    np.testing.assert_array_equal(feature.row_axis, np.arange(4))
    np.testing.assert_array_equal(feature.frame_axis, np.arange(5))
    assert feature.attributes["parameters"] == {}
