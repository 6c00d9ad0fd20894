"""The index: written only where it would say something else, sources kept outside a run's part."""

import h5py
import numpy as np
import pandas as pd
import pytest

from features_cache import Cache, external
from features_cache.hdf5 import CHUNK
from features_cache.index import COLUMNS, read_clips, read_index, refresh, stored_ids, write_clips
from features_cache.table import complete, with_sources

CLIPS = [f"clip{number}" for number in range(8)]


@pytest.fixture
def known(cache):
    return read_index(cache.folder)


def replaced(cache, *arguments):
    """Whether a refresh put another file in place."""
    path = cache.folder / "index.h5"
    before = path.stat().st_ino
    refresh(cache.folder, *arguments)
    return path.stat().st_ino != before


def test_it_is_replaced_only_where_it_would_say_something_else(cache, known, values):
    clips, settings = known
    assert not replaced(cache, clips, settings)
    assert replaced(cache, clips.assign(label="owl"), settings)
    assert replaced(cache, clips.iloc[::-1].reset_index(drop=True), settings)
    assert replaced(cache, clips, settings | {"sample_rate": 1})
    assert not replaced(cache, clips, settings | {"sample_rate": 1})


def test_its_links_follow_the_files(cache, known, values):
    (cache.folder / "mine.h5").rename(cache.folder / "yours.h5")
    assert replaced(cache, *known)
    with h5py.File(cache.folder / "index.h5") as index:
        assert set(index) == {"clips", "yours"}
        assert index["yours"].shape == (8, 4, 5)


def test_a_run_tells_of_the_sources_of_its_part_and_leaves_the_others(cache, known):
    clips, settings = known
    refresh(cache.folder, clips.assign(source_hash="first"), settings, slice(0, 8))
    refresh(cache.folder, clips.assign(source_hash="second", label="owl"), settings, slice(2, 4))
    now, _ = read_index(cache.folder)
    assert now["source_hash"].tolist() == ["first"] * 2 + ["second"] * 2 + ["first"] * 4
    assert set(now["label"]) == {"owl"}
    refresh(cache.folder, now.iloc[[5, 2]].assign(source_hash="").reset_index(drop=True), settings)
    assert read_index(cache.folder)[0]["source_hash"].tolist() == ["first", "second"]


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_one_that_is_damaged_or_gone_is_made_again(cache, known, content):
    path = cache.folder / "index.h5"
    path.unlink() if content is None else path.write_bytes(content)
    refresh(cache.folder, *known)
    assert Cache(cache.folder).clips.equals(cache.clips)


def test_a_long_table_of_any_text_comes_back_and_repeated_texts_are_one_object(tmp_path):
    count = 2 * CHUNK + 3
    ids = [f"ключ{number}" for number in range(count)]
    table = complete({"clip_id": ids, "label": ["犬", ""] * (count // 2) + ["犬"], "fold": np.arange(count)})
    clips = with_sources(table, None).assign(source_size=np.arange(count))
    with h5py.File(tmp_path / "clips.h5", "w") as file:
        write_clips(file, clips, {})
        told = read_clips(file)
    pd.testing.assert_frame_equal(told, clips[list(COLUMNS)], check_dtype=False)
    assert len({id(label) for label in told["label"].to_numpy()[:CHUNK]}) == 2
    assert all(one is other for one, other in zip(told["group"].to_numpy(), told["clip_id"].to_numpy()))


def test_ids_are_stored_as_utf_8(tmp_path):
    external.create_cache(tmp_path / "new", {"clip_id": ["é", "aaa"], "label": ["x", "y"], "fold": [1, 2]})
    clips, _ = read_index(tmp_path / "new")
    assert stored_ids(clips).tolist() == ["é".encode(), b"aaa"]
