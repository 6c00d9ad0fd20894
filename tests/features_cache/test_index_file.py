"""index.h5: what it holds, and how it is brought up to date."""

import os
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.clip_table import INDEX_COLUMNS, complete, with_sources
from featurestack.features_cache.index_file import (
    FAILURES,
    read_check,
    read_failures,
    read_index,
    refresh,
    write_check,
    write_failures,
)
from tests.features_cache.conftest import CLIPS
from tests.golden.commands import done, inside
from tests.noise import write_clips


@pytest.fixture
def clips_and_settings(cache):
    return read_index(cache.folder)


def test_its_links_follow_the_files(cache, clips_and_settings):
    (cache.folder / "mine.h5").rename(cache.folder / "yours.h5")
    for name in ("yours-old.h5", "clips.h5"):  # no feature can have these names
        shutil.copy(cache.folder / "yours.h5", cache.folder / name)
    refresh(cache.folder, *clips_and_settings)
    with h5py.File(cache.folder / "index.h5") as index:
        assert set(index) == {"clips", "yours"} and index["yours"].shape == (8, 4, 5)


def test_a_run_records_the_sources_of_its_part_and_leaves_the_others(
    cache, clips_and_settings
):
    clips, settings = clips_and_settings
    refresh(cache.folder, clips.assign(source_hash="first"), settings, slice(0, 8))
    other = clips.assign(source_hash="second", label="owl")
    refresh(cache.folder, other, settings, slice(2, 4))
    now, _ = read_index(cache.folder)
    assert now["source_hash"].tolist() == ["first"] * 2 + ["second"] * 2 + ["first"] * 4
    assert set(now["label"]) == {"owl"}
    fewer = now.iloc[[5, 2]].assign(source_hash="").reset_index(drop=True)
    refresh(cache.folder, fewer, settings)
    assert read_index(cache.folder)[0]["source_hash"].tolist() == ["first", "second"]


def test_a_table_of_any_text_comes_back_and_repeated_texts_are_one_object(tmp_path):
    ids = [f"ключ{number}" for number in range(203)]
    labels = [*["犬", ""] * 101, "犬"]
    table = {"clip_id": ids, "label": labels, "fold": np.arange(203)}
    clips = with_sources(complete(table), None)
    refresh(tmp_path, clips, {})
    read, _ = read_index(tmp_path)
    pd.testing.assert_frame_equal(read, clips[list(INDEX_COLUMNS)], check_dtype=False)
    # pyarrow, where it is installed, would keep texts in a form of its own
    with pd.option_context("mode.string_storage", "python"):
        read, _ = read_index(tmp_path)
    assert len({id(label) for label in read["label"].to_numpy()}) == 2


TABLE = pd.DataFrame({"clip_id": ["a", "b", "c"], "path": ["a.wav", "b.wav", "c.wav"]})
FINDINGS = [{"kind": "silent", "severity": "note", "names": ["a"]}]


@pytest.mark.parametrize("content", [b"name,why\nx,y\n", b"\xff\xfe\x00"])
def test_a_file_of_something_else_counts_as_none(tmp_path, content):
    (tmp_path / FAILURES).write_bytes(content)
    assert read_failures(tmp_path) == []


def test_the_size_of_features_counts_each_once(cache, values):
    external.write_feature(cache.folder, "little", values[:, :1, :2], CLIPS)
    size = cache.megabytes(["mine", "mine", "little"])
    assert size == 8 * (20 + 2) * 2 / 1e6


def noted(folder):
    return [(clip, *why) for clip, _, *why in read_failures(folder)]


def test_what_was_tried_again_is_replaced_and_clips_that_left_are_no_longer_listed(
    tmp_path,
):
    first = [(0, "all", "empty"), (1, "mel", "NaN"), (2, "crest", "NaN, twice")]
    write_failures(tmp_path, TABLE, np.arange(3), ["crest", "mel"], first)
    write_failures(tmp_path, TABLE, np.array([1, 2]), ["mel"], [(2, "all", "missing")])
    later = [("c", "crest", "NaN, twice"), ("c", "all", "missing")]
    assert noted(tmp_path) == [("a", "all", "empty"), *later]
    write_failures(tmp_path, TABLE.iloc[1:], np.array([0]), ["mel"], [])
    assert noted(tmp_path) == later


def to_another_time(a, b):
    os.utime(a, (1, 1))


def to_another_sound(a, b):
    shutil.copy(b, a)


def to_nothing(a, b):  # the audio is on another machine
    a.unlink()
    b.unlink()


@pytest.mark.parametrize(
    ("change", "hold"),
    [(to_another_time, False), (to_another_sound, False), (to_nothing, True)],
)
def test_findings_hold_while_the_audio_is_as_it_was_or_elsewhere(
    tmp_path, change, hold
):
    a, b, missing = (tmp_path / f"{name}.wav" for name in "abc")
    for path in (a, b):
        path.write_bytes(path.stem.encode() * 9)
    table = {"clip_id": [*"abc"], "label": "x", "fold": 1}
    clips = complete(pd.DataFrame({**table, "path": map(str, (a, b, missing))}))
    write_check(tmp_path, clips, FINDINGS)
    assert read_check(tmp_path, clips) == FINDINGS
    change(a, b)
    assert read_check(tmp_path, clips) == (FINDINGS if hold else None)


def test_an_index_without_inodes_is_read_and_completed(tmp_path):
    """Caches of earlier versions have no such columns; their features stay."""
    write_clips(tmp_path / "birds", "ant", "bee")
    folder = tmp_path / "data/birds/features"
    with inside(tmp_path):
        done("features DATASET=birds FEATURES=mel JOBS=1")
        before = (folder / "mel.h5").read_bytes()
        with h5py.File(folder / "index.h5", "r+") as index:
            for name in ("source_inode", "source_change_ns"):
                del index["clips"][name]
        trained = done("train DATASET=birds FEATURES=mel MODEL=linear FOLDS=1")
        assert "changed" not in trained.err
        again = done("features DATASET=birds FEATURES=mel")
    assert "0 of 12 feature maps to compute" in again.out
    assert (folder / "mel.h5").read_bytes() == before
    with h5py.File(folder / "index.h5") as index:
        assert set(index["clips"]) == set(INDEX_COLUMNS)
