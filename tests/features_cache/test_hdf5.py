"""A feature's file is ordinary HDF5 that describes itself; its state words say which
clips are intact.
"""

import errno
import os
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pytest

from featurestack.base.errors import DamagedFile
from featurestack.features_cache import hdf5
from featurestack.features_cache.hdf5 import (
    CachedFeature,
    clip_keys,
    fingerprints,
    read_header,
    to_stored,
)
from tests.golden.commands import command, done, inside
from tests.noise import write_clips

UNCHUNKED = {"values", "state"}
DISK_FULL = OSError(errno.ENOSPC, "No space left on device")


def test_values_are_contiguous_and_aligned_and_all_else_has_checksums_and_fixed_length(
    cache,
):
    def check(name, item):
        attributes = map(np.asarray, item.attrs.values())
        assert {each.dtype.kind for each in attributes} <= {*"SiuV"}
        if name in UNCHUNKED:
            offset = item.id.get_offset()
            assert item.chunks is None and offset and offset % 4096 == 0
            assert path.stat().st_size >= offset + item.nbytes
        elif isinstance(item, h5py.Dataset):
            assert item.fletcher32 and item.chunks
            assert not h5py.check_string_dtype(item.dtype) or item.dtype.kind == "S"

    for path in cache.folder.glob("*.h5"):
        with h5py.File(path) as file:
            check("", file)
            file.visititems(check)


def test_a_page_of_zeros_in_a_small_dataset_is_found(cache):
    path = cache.folder / "mine.h5"
    with h5py.File(path) as file:
        place = file["frame_axis"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(4096))
    with pytest.raises(DamagedFile, match="frame_axis is damaged"):
        read_header(path)


@pytest.mark.parametrize("error", [None, OSError(errno.EOPNOTSUPP, ""), DISK_FULL])
def test_every_byte_of_a_new_file_has_its_place_on_the_disk(
    tmp_path, monkeypatch, error
):
    """A file system may lack the call; a full disk is reported."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"head")
        file.truncate(5_000_000)
    if error:
        monkeypatch.setattr(os, "posix_fallocate", mock.Mock(side_effect=error))
    if error is DISK_FULL:
        with pytest.raises(OSError, match="No space left"):
            hdf5.reserve_space(path)
    else:
        hdf5.reserve_space(path)
        assert path.stat().st_blocks * 512 >= 5_000_000
    assert path.read_bytes() == b"head" + bytes(4_999_996)


def test_all_bytes_are_written_although_the_system_takes_a_few_at_a_time(
    tmp_path, monkeypatch
):
    whole = os.pwrite
    few = lambda descriptor, data, *at: whole(descriptor, data[:3], *at)  # noqa: E731
    monkeypatch.setattr(os, "pwrite", few)
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        hdf5.write_at(file.fileno(), b"0123456789", 2)
    assert (tmp_path / "file").read_bytes() == b"\0\x000123456789"


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_clip_whose_writing_was_cut_off_is_not_done(file, monkeypatch, writes):
    before = file.map().copy(), file.map(state=True).copy()
    kill = mock.Mock(
        wraps=hdf5.write_at, side_effect=[mock.DEFAULT] * writes + [KeyboardInterrupt]
    )
    monkeypatch.setattr(hdf5, "write_at", kill)
    with file.path.open("r+b", buffering=0) as opened, pytest.raises(KeyboardInterrupt):
        file.write_clip(opened.fileno(), 3, before[0][4], 7)
    assert file.map(state=True)[3] == (0 if writes else before[1][3])
    for now, then in zip((file.map(), file.map(state=True)), before):
        assert np.array_equal(np.delete(now, 3, 0), np.delete(then, 3, 0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, np.inf], [np.nan, 0]]), "2 values NaN or infinite$"),
        (np.full((2, 2), -70000.0), "70000 overflows float16; DTYPE=float32"),
    ],
)
def test_what_cannot_be_stored_is_reported(values, message):
    with pytest.raises(ValueError, match=message):
        to_stored(values, "float16")


CLIP = {"clip_id": "a", "source_hash": "00ff"}
FEATURE = {"feature": "mel", "parameters": {"n_mels": 128}, "code_version": 1}
FEATURE |= {"dtype": "float16", "sample_rate": 44100, "samples": 220500}
KNOWN = 715762560  # another number would outdate all caches
KNOWN_WINDOW = 3250965781  # of a part of a file


def fingerprint(**change):
    given = CLIP | FEATURE | change
    clip = pd.DataFrame([{name: given[name] for name in CLIP}])
    clip = clip.assign(start=given.get("start", 0.0), end=given.get("end", 0.0))
    axes = dict.fromkeys(("row_axis", "frame_axis"), np.arange(1))
    own = {name: given[name] for name in FEATURE}
    feature = CachedFeature(path=Path("mel.h5"), stored="mel", **own, **axes)
    return int(fingerprints(clip_keys(clip), feature.key)[0])


def test_everything_that_values_depend_on_is_covered():
    changes = [{"end": 1.0}, {"end": 2.0}, {"start": 0.5, "end": 1.0}]  # of a window
    for name, given in (CLIP | FEATURE).items():
        other = {"n_mels": 64} if name == "parameters" else given + type(given)(1)
        changes.append({name: other})
    found = {fingerprint(), *(fingerprint(**change) for change in changes)}
    assert KNOWN in found and len(found) == 1 + len(changes)


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_a_window_keeps_its_fingerprint_however_pandas_stores_text(storage):
    if storage == "pyarrow":
        pytest.importorskip("pyarrow")
    with pd.option_context("mode.string_storage", storage):
        assert fingerprint(start=0.5, end=1.0) == KNOWN_WINDOW


def test_a_fingerprint_is_never_zero_and_spreads_evenly():
    keys = np.arange(1 << 16, dtype=np.uint64)
    spread = fingerprints(np.append(keys, np.uint64(7)), np.uint64(7))
    assert spread.min() >= 1 and spread.max() < 1 << 32
    assert len(np.unique(spread)) > 0.9999 * len(keys)


@pytest.mark.parametrize("name", ["mel.h5", "index.h5"])
@pytest.mark.parametrize("word", ["features", "train", "importance"])
def test_a_file_of_a_newer_format_is_refused_and_stays(tmp_path, name, word):
    write_clips(tmp_path / "birds", "ant", "bee")
    file = tmp_path / "data/birds/features" / name
    words = {"train": "FEATURES=mel MODEL=linear", "features": "FEATURES=mel"}
    words["importance"] = "FEATURES='mel rms'"
    with inside(tmp_path):
        done("features DATASET=birds FEATURES='mel rms' JOBS=1")
        with h5py.File(file, "r+") as opened:
            opened.attrs["format_version"] = np.int64(99)
        content = file.read_bytes()
        refusal = command(f"{word} DATASET=birds {words.get(word, '')}")
    assert refusal.status == 2 and "made by a newer version" in refusal.err, refusal
    assert file.read_bytes() == content


def test_a_check_of_a_newer_format_is_refused_and_stays(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee")
    file = tmp_path / "data/birds/features/check.json"
    content = '{"format_version": 99, "of": "a later version"}'
    with inside(tmp_path):
        done("features DATASET=birds FEATURES=rms JOBS=1")
        file.write_text(content)
        refusal = command("check DATASET=birds")
    assert refusal.status == 2 and "made by a newer version" in refusal.err, refusal
    assert file.read_text() == content


@pytest.mark.parametrize("kind", ["external", "soft"])
@pytest.mark.parametrize("name", ["values", "state"])
def test_values_behind_a_link_are_damage(cache, tmp_path, name, kind):
    """Their offset would be one of another file."""
    path = cache.folder / "mine.h5"
    with h5py.File(path, "r+") as file:
        file.move(name, "moved")
        other = str(tmp_path / "other.h5")
        file[name] = (
            h5py.SoftLink("/moved")
            if kind == "soft"
            else h5py.ExternalLink(other, name)
        )
    with pytest.raises(DamagedFile, match=f"has a link for {name}"):
        read_header(path)


@pytest.mark.parametrize("name", ["mel.h5", "index.h5"])
@pytest.mark.parametrize("word", ["features", "train"])
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, name, word):
    write_clips(tmp_path / "birds", "ant", "bee")
    file = tmp_path / "data/birds/features" / name
    with inside(tmp_path):
        done("features DATASET=birds FEATURES=mel JOBS=1")
        file.unlink()
        os.mkfifo(file)
        refusal = command(f"{word} DATASET=birds FEATURES=mel")
    assert refusal.status == 2 and "features" in refusal.err, refusal
    assert file.is_fifo()
