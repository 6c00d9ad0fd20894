"""index.h5: what it holds, and how it is brought up to date."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from featurestack.features_cache.index import read_index, refresh
from featurestack.features_cache.table import INDEX_COLUMNS, complete, with_sources


@pytest.fixture
def known(cache):
    return read_index(cache.folder)


def test_its_links_follow_the_files(cache, known):
    (cache.folder / "mine.h5").rename(cache.folder / "yours.h5")
    for name in ("yours-old.h5", "clips.h5"):  # no feature can have these names
        shutil.copy(cache.folder / "yours.h5", cache.folder / name)
    refresh(cache.folder, *known)
    with h5py.File(cache.folder / "index.h5") as index:
        assert set(index) == {"clips", "yours"} and index["yours"].shape == (8, 4, 5)


def test_a_run_records_the_sources_of_its_part_and_leaves_the_others(cache, known):
    clips, settings = known
    refresh(cache.folder, clips.assign(source_hash="first"), settings, slice(0, 8))
    refresh(
        cache.folder,
        clips.assign(source_hash="second", label="owl"),
        settings,
        slice(2, 4),
    )
    now, _ = read_index(cache.folder)
    assert now["source_hash"].tolist() == ["first"] * 2 + ["second"] * 2 + ["first"] * 4
    assert set(now["label"]) == {"owl"}
    refresh(
        cache.folder,
        now.iloc[[5, 2]].assign(source_hash="").reset_index(drop=True),
        settings,
    )
    assert read_index(cache.folder)[0]["source_hash"].tolist() == ["first", "second"]


def test_a_table_of_any_text_comes_back_and_repeated_texts_are_one_object(tmp_path):
    ids = [f"ключ{number}" for number in range(203)]
    labels = [*["犬", ""] * 101, "犬"]
    clips = with_sources(
        complete({"clip_id": ids, "label": labels, "fold": np.arange(203)}), None
    )
    refresh(tmp_path, clips, {})
    read, _ = read_index(tmp_path)
    pd.testing.assert_frame_equal(read, clips[list(INDEX_COLUMNS)], check_dtype=False)
    assert len({id(label) for label in read["label"].to_numpy()}) == 2
