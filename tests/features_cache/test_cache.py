"""An opened cache: its clips, its features by name, across processes; what it lacks is told."""

import multiprocessing

import h5py
import numpy as np
import pandas as pd
import pytest

from commandline import RequestError
from features_cache import Cache, bring
from features_cache.index import read_index, refresh
from features_cache.names import parse_channel

CLIPS = [f"clip{number}" for number in range(8)]


def test_ids_and_rows_of_the_table_mean_the_same(cache):
    rows = np.array([6, 1, 1])
    np.testing.assert_array_equal(cache.read("mine", rows), cache.read("mine", [CLIPS[row] for row in rows]))


def test_a_batch_is_several_channels_of_the_same_clips(cache, values):
    bring.create_feature(cache.folder, "other", values + 1, CLIPS)
    first, second = cache.batch(["mine", parse_channel("other:0-0")], ["clip4", "clip2"])
    np.testing.assert_array_equal(first, values[[4, 2]].astype(np.float16))
    assert second.shape == (2, 1, 5)


def test_unknown_clips_and_features_are_told_with_what_to_type(cache):
    with pytest.raises(RequestError, match="has no clips who"):
        cache.read("mine", ["clip1", "who"])
    with pytest.raises(RequestError, match=r"lacks mel: it has no audio; features_cache\.bring"):
        cache.read("mel", CLIPS)
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips, settings | {"source": "/sounds/birds", "dataset": "finches"})
    expected = (
        f"run make features DATASET=/sounds/birds FEATURES=mel NAME=finches DATA={cache.folder.parent.parent}"
    )
    with pytest.raises(RequestError, match=expected):
        Cache(cache.folder).read("mel", CLIPS)
    assert "'FEATURES=mel mfcc'" in Cache(cache.folder).remedy("mel mfcc")


def test_a_variant_is_found_by_its_parameters(cache, values):
    bring.create_feature(cache.folder, "mel", values, CLIPS, parameters={"n_mels": 128, "fmin": 0.0})
    assert "mel@n_mels=128" in cache
    assert cache["mel@fmin=0,n_mels=128"].stored == "mel"
    with pytest.raises(RequestError, match=r"lacks mel@n_mels=64 \(it has mel\)"):
        cache["mel@n_mels=64"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_opened_cache_goes_to_other_processes(cache, values, method):
    cache.read("mine", ["clip0"])
    with multiprocessing.get_context(method).Pool(2) as pool:
        parts = pool.starmap(cache.read, [("mine", [clip]) for clip in CLIPS])
    np.testing.assert_array_equal(np.concatenate(parts), values.astype(np.float16))


def test_no_cache_is_told_with_what_to_type(tmp_path):
    with pytest.raises(RequestError, match="make features"):
        Cache(tmp_path)


def test_a_feature_file_that_is_removed_leaves_the_others(cache, values):
    bring.create_feature(cache.folder, "other", values, CLIPS)
    (cache.folder / "other.h5").unlink()
    assert Cache(cache.folder).features == ["mine"]
    with h5py.File(cache.folder / "index.h5") as index:
        assert index.get("other") is None
        assert index["mine"].shape == (8, 4, 5)


def test_the_table_is_pandas_with_folds_as_numbers(cache):
    assert pd.api.types.is_integer_dtype(cache.clips["fold"])
    assert cache.clips.iloc[0].to_dict() == {
        "clip_id": "clip0",
        "path": "",
        "label": "dog",
        "category": "",
        "fold": 1,
        "group": "a",
        "copy_of": "",
        "alteration": "",
    }
