"""A feature's file is ordinary HDF5 that describes itself; its state words say which clips are intact."""

import shutil
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest

from features_cache import layout
from features_cache.hdf5 import DamagedFile, opened
from features_cache.index import read_index
from features_cache.layout import (
    CRC,
    FINGERPRINT,
    clip_keys,
    feature_key,
    fingerprints,
    intact,
    read_header,
    state_word,
)

UNCHUNKED = {"values", "state"}


def test_values_and_states_are_contiguous_allocated_and_aligned(cache):
    with h5py.File(cache.folder / "mine.h5") as file:
        for name in UNCHUNKED:
            offset = file[name].id.get_offset()
            assert file[name].chunks is None
            assert offset
            assert offset % 4096 == 0
        end = file["values"].id.get_offset() + file["values"].nbytes
    assert (cache.folder / "mine.h5").stat().st_size >= end


def test_everything_else_is_chunked_with_checksums_and_of_fixed_length(cache):
    def check(name, item):
        assert all(np.asarray(attribute).dtype.kind in "SiuV" for attribute in item.attrs.values())
        if isinstance(item, h5py.Dataset) and name not in UNCHUNKED:
            assert item.fletcher32 and item.chunks
            assert not h5py.check_string_dtype(item.dtype) or item.dtype.kind == "S"

    for path in cache.folder.glob("*.h5"):
        with h5py.File(path) as file:
            check("", file)
            file.visititems(check)


def test_a_file_says_what_it_holds(cache):
    with h5py.File(cache.folder / "mine.h5") as file:
        assert file.attrs["feature"] == b"mine"
        assert file["values"].attrs["units"] == b"dB"
        assert file["row_axis"].shape == (4,)
        assert file["frame_axis"].shape == (5,)
        assert file["clip_id"].asstr()[:].tolist() == cache.clips["clip_id"].tolist()
        assert {"parameters", "sample_rate", "hop_length", "format_version", "libraries"} <= set(file.attrs)


@pytest.mark.skipif(not shutil.which("h5dump"), reason="needs HDF5's own tools")
def test_h5dump_understands_every_file(cache):
    for path in cache.folder.glob("*.h5"):
        dumped = subprocess.run(
            ["h5dump", path.name], cwd=path.parent, capture_output=True, text=True, check=True
        )
        assert "clip0" in dumped.stdout


def test_another_format_is_reported(cache):
    path = cache.folder / "mine.h5"
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(DamagedFile, match=r"mine\.h5 has format 99, expected 1"):
        read_header(path)


def test_a_page_of_zeros_in_a_small_dataset_is_found(cache):
    path = cache.folder / "mine.h5"
    with h5py.File(path) as file:
        place = file["frame_axis"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(4096))
    with pytest.raises(DamagedFile, match="frame_axis is damaged"), opened(path):
        read_header(path).frame_axis  # noqa: B018


@pytest.fixture
def file(cache):
    return read_header(cache.folder / "mine.h5")


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_clip_whose_writing_was_cut_off_is_not_done(file, monkeypatch, writes):
    before = file.map().copy(), file.map(state=True).copy()
    whole, done = layout.write_at, []

    def stops(descriptor, data, offset):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(offset)
        whole(descriptor, data, offset)

    monkeypatch.setattr(layout, "write_at", stops)
    values = before[0][3] + np.float16(1)
    with file.path.open("r+b", buffering=0) as opened, pytest.raises(KeyboardInterrupt):
        file.write_clip(opened.fileno(), 3, values, state_word(7, values))
    states = file.map(state=True)
    assert states[3] == (0 if writes else before[1][3])
    others = np.arange(8) != 3
    np.testing.assert_array_equal(states[others], before[1][others])
    np.testing.assert_array_equal(file.map()[others], before[0][others])


def test_forgotten_clips_have_state_0_and_damaged_ones_are_not_intact(file, spoil):
    states = file.map(state=True).copy()
    assert intact(file.map(), range(8), states).all()
    spoil(file, 5)
    assert intact(file.map(), range(8), states).tolist() == [True] * 5 + [False] + [True] * 2
    file.forget(np.array([1, 6]))
    assert np.flatnonzero(file.map(state=True) == 0).tolist() == [1, 6]


CLIP = {"clip_id": "a", "alteration": "", "source_hash": "00ff"}
FEATURE = {"feature": "mel", "parameters": {"n_mels": 128}, "code_version": 1, "dtype": "float16"}
FEATURE |= {"sample_rate": 44100, "samples": 220500}
KNOWN = 3235863038  # of these: a cache made today is read tomorrow


def fingerprint(**change):
    clip = pd.DataFrame([CLIP | {key: value for key, value in change.items() if key in CLIP}])
    feature = FEATURE | {key: value for key, value in change.items() if key in FEATURE}
    return int(fingerprints(clip_keys(clip), feature_key(feature))[0])


@pytest.mark.parametrize("name", [*CLIP, *FEATURE])
def test_everything_that_values_depend_on_is_covered(name):
    given = (CLIP | FEATURE)[name]
    other = {"n_mels": 64} if name == "parameters" else given + type(given)(1)
    assert fingerprint(**{name: other}) != fingerprint()


def test_neighbouring_columns_do_not_run_together_and_it_stays_from_version_to_version():
    assert fingerprint(clip_id="ab", alteration="") != fingerprint(clip_id="a", alteration="b")
    assert fingerprint() == KNOWN


def test_it_is_never_zero_and_spreads_evenly():
    keys = np.arange(1 << 16, dtype=np.uint64)
    told = fingerprints(np.append(keys, np.uint64(7)), np.uint64(7))
    assert told.min() >= 1
    assert told.max() < 1 << 32
    assert len(np.unique(told)) > 0.9999 * len(keys)


def test_a_word_is_the_fingerprint_above_the_crc():
    word = np.uint64(state_word(0xABCD1234, np.frombuffer(b"123456789", np.uint8)))
    assert word >> FINGERPRINT == 0xABCD1234
    assert word & CRC == 0xCBF43926  # the CRC-32 of these digits in every textbook


def test_a_clip_is_missing_outdated_damaged_or_done(cache, file, spoil):
    rows, keys = np.array([0, 1, 2, 3, -1]), clip_keys(read_index(cache.folder)[0])[:5]
    file.forget(np.array([0]))
    keys[2] += np.uint64(1)
    spoil(file, 3)
    status = file.status(rows, keys, check=True)
    assert status.missing.tolist() == [True, False, False, False, True]
    assert status.done.tolist() == [False, True, False, False, False]
    assert status.outdated.tolist() == [False, False, True, False, False]
    assert status.damaged.tolist() == [False, False, False, True, False]
    for unchecked in (False, np.zeros(5, bool)):
        assert file.status(rows, keys, unchecked).done.tolist() == [False, True, False, True, False]
