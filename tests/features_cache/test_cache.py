"""An opened cache finds clips by id, and refuses missing, outdated or damaged ones."""

import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from featurestack.base.errors import UnreadableClips
from featurestack.features_cache import external, hdf5
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.index_file import read_index, refresh
from tests.cases import cases
from tests.features_cache.conftest import CLIPS
from tests.refusal import refused


def test_values_come_back_by_id_by_row_and_in_a_range_of_rows_with_both_ends(
    cache, values
):
    ids = ["clip5", "clip0", "clip5"]
    assert np.array_equal(cache.read("mine", ids), values[[5, 0, 5]])
    assert np.array_equal(cache.read("mine", [5, 0]), values[[5, 0]])
    external.write_feature(cache.folder, "other", values + 1, CLIPS)
    ids = ["clip4", "clip2"]
    assert np.array_equal(cache.read("mine:1-2", ids), values[[4, 2], 1:3])
    assert np.array_equal(
        cache.read(parse_feature_name("other"), ids), values[[4, 2]] + 1
    )
    with refused("mine:1-4: it has rows 0 to 3"):
        cache.read("mine:1-4", CLIPS)


def test_a_feature_of_some_rows_has_their_values_axis_and_shape(cache, values):
    some, whole = cache["mine:1-2"], cache["mine"]
    assert np.array_equal(np.asarray(some), values[:, 1:3])
    assert np.array_equal(some[2:4], values[2:4, 1:3])
    assert some.values.shape == some.shape == (len(CLIPS), 2, values.shape[2])
    assert some.row_axis.tolist() == whole.row_axis[1:3].tolist()
    assert whole.shape == values.shape
    assert some.status_of(np.arange(len(CLIPS))).done.all()
    assert cache.megabytes(["mine:1-2", "mine"]) == cache.megabytes(["mine"])


def test_a_mask_with_an_index_is_put_in_the_order_of_the_clips(cache, values):
    mask = cache.clips["clip_id"].isin(CLIPS[:2])
    shuffled = mask[::-1]
    by_id = shuffled.set_axis(cache.clips["clip_id"][::-1])
    for each in (mask, shuffled, by_id, mask.to_numpy()):
        assert np.array_equal(cache["mine"][each], values[:2])
        assert np.array_equal(cache.read("mine", each), values[:2])
    for part in (mask[:3], mask.set_axis(range(1, len(mask) + 1))):
        with refused("whose index is not that of all"):
            cache["mine"][part]


RAGGED, TABLE = [[1], [1, 2]], np.zeros((2, 2), int)
GRADIENT = torch.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    "rows",
    [
        *(2**63, CLIPS[:2], "clip1", np.array([99]), 1.5, slice(1.5, 3), None, True),
        *(RAGGED, TABLE, GRADIENT),
    ],
)
def test_what_is_no_row_is_refused_in_a_sentence(cache, rows):
    with refused("expected a number, a slice or a mask .* cache.read takes ids"):
        cache["mine"][rows]


def test_a_cache_is_read_while_the_caller_has_its_file_open_with_locks(cache, values):
    with h5py.File(cache.folder / "mine.h5"):
        assert np.array_equal(Cache(cache.folder).read("mine", CLIPS), values)
    assert [*cache] == ["mine"]


def test_an_opened_cache_reads_on_from_its_file_if_another_takes_its_place(
    cache, values
):
    assert cache["mine"].rows == 4  # opened, and nothing read yet
    (cache.folder / "mine.h5").unlink()
    external.write_feature(cache.folder, "mine", values + 1, CLIPS)
    assert np.array_equal(cache.read("mine", CLIPS), values)
    assert np.array_equal(Cache(cache.folder).read("mine", CLIPS[:1]), (values + 1)[:1])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="as on Linux")
def test_a_closed_feature_is_mapped_no_more_until_it_is_read_again(cache, values):
    ids = cache.clips["clip_id"]
    assert np.array_equal(cache.read("mine", ids), values)
    file, maps = str(cache.folder / "mine.h5"), Path("/proc/self/maps")
    assert file in maps.read_text()
    cache.close("mine")
    assert file not in maps.read_text()
    assert np.array_equal(cache.read("mine", ids), values)


def test_unknown_clips_and_features_are_reported_with_what_to_type(cache):
    with refused("has no clips who"):
        cache.read("mine", ["clip1", "who"])
    with refused(r"lacks mines \(did you mean mine\?\), .*external\.write_fea"):
        cache.read("mines", CLIPS)
    with refused("is not the name of a feature: expected name"):
        cache.read(["mine"], CLIPS)
    with pytest.raises(IndexError, match="out of bounds"):
        cache["mine"][len(CLIPS)]
    clips, settings = read_index(cache.folder)
    data = cache.folder.parent.parent
    birds = data / "birds"
    birds.mkdir()
    settings |= {"source": str(birds)}
    refresh(cache.folder, clips, settings)
    typed = (
        f"run make features DATASET={birds} FEATURES='mel mfcc' NAME=brought"
        f" DATA={data}"
    )
    assert Cache(cache.folder).remedy("mel mfcc") == typed
    (cache.folder / "mine.h5").write_bytes(b"")
    with refused(f"run make features DATASET={birds} FEATURES=mine NAME=brought"):
        Cache(cache.folder).read("mine", CLIPS)


def test_of_many_features_the_most_alike_are_named(cache, values):
    for number in range(10):
        external.write_feature(cache.folder, f"f{number}", values, CLIPS)
    with refused(r"lacks xyz, it has ([^,]+, ){7}\S+ and 3 more: "):
        Cache(cache.folder).named("xyz")


def test_a_variant_is_found_by_its_parameters(cache, values):
    given = {"n_mels": 128, "fmin": 0.0}
    external.write_feature(cache.folder, "mel", values, CLIPS, parameters=given)
    assert "mel@n_mels=128" in cache
    assert cache["mel@fmin=0,n_mels=128"].stored == "mel"
    with refused(r"lacks mel@n_mels=64, it has mel, mine:"):
        cache["mel@n_mels=64"]


def test_of_several_variants_of_other_frames_one_is_to_be_named(cache, file):
    shutil.copy(file.path, cache.folder / "mel@frame=23.h5")
    assert "mel" in cache
    shutil.copy(file.path, cache.folder / "mel@frame=64.h5")
    both = "has mel@frame=23 and mel@frame=64: .* such as mel@frame=64$"
    for asked in ("mel", "mine+mel chroma"):
        with refused(both):
            cache.named(asked)


def test_rows_are_matched_by_id_when_the_table_has_another_order(cache, values):
    clips, settings = read_index(cache.folder)
    order = [3, 7, 0, 1, 2, 6]
    refresh(cache.folder, clips.iloc[order].reset_index(drop=True), settings)
    opened = Cache(cache.folder)
    assert opened.clips["clip_id"].tolist() == [CLIPS[row] for row in order]
    assert np.array_equal(opened.read("mine", np.arange(6)), values[order])
    wanted = opened.clips["clip_id"] == "clip7"
    assert np.array_equal(opened.read("mine", wanted), values[[7]])
    mine = opened["mine"]
    assert np.array_equal(np.asarray(mine), values[order])
    assert mine.shape == np.shape(mine) == (6, 4, 5) and len(mine) == 6
    assert np.array_equal(mine[1], values[7])
    assert np.array_equal(mine[wanted], mine[1:2])
    assert opened["mine"].done().all()
    sent = pickle.dumps(opened)  # to another process
    assert len(sent) < 1000  # no values
    assert np.array_equal(pickle.loads(sent).read("mine", [0]), values[order[:1]])


def test_what_is_missing_or_damaged_is_reported_and_not_returned(cache, file, spoil):
    file.forget(np.array([2]))
    spoil(5)
    assert np.flatnonzero(~cache.readable(["mine"])).tolist() == [2]
    with pytest.raises(UnreadableClips) as refused:
        cache.read("mine", CLIPS)
    assert refused.value.reasons == {"clip2": "not done", "clip5": "damaged"}
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    for ids in (CLIPS, ["clip5"], ["clip5"]):  # at every read
        with pytest.raises(UnreadableClips, match="clip5: damaged"):
            cache.read("mine", ids)
    assert cache.read("mine", ["clip0", "clip7"]).shape == (2, 4, 5)


def test_a_clip_that_is_written_again_is_checked_again(cache, file, values):
    before = cache.read("mine", ["clip3"])
    state = int(file.map(state=True)[3])
    with file.path.open("r+b", buffering=0) as opened:
        file.write_clip(opened.fileno(), 3, values[4], state ^ 1)
        with pytest.raises(UnreadableClips, match="clip3: damaged"):
            cache.read("mine", ["clip3"])
        file.write_clip(opened.fileno(), 3, before[0], state)
    assert np.array_equal(cache.read("mine", ["clip3"]), before)


def test_other_audio_does_not_count(cache):
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips.assign(source_hash="another"), settings, slice(0, 8))
    assert not Cache(cache.folder).readable(["mine"]).any()
    with pytest.raises(UnreadableClips, match="made from other audio or parameters"):
        Cache(cache.folder).read("mine", CLIPS)


def test_without_a_cache_those_that_are_there_are_named(cache, tmp_path):
    shutil.copytree(cache.folder, tmp_path / "data" / "birds" / "features")
    with refused(
        "yet: run make features DATASET=esc50 .*; there are features of DATASET=birds"
    ):
        cache_of("esc50", tmp_path / "data")
    with refused("run make features DATASET=birds NAME=x"):
        cache_of("birds", tmp_path / "data", "x")


@cases("names", "sentence")
def test_a_misspelt_feature_is_named_and_not_the_command_that_would_refuse_it(
    cache, tmp_path, names, sentence
):
    clips, settings = read_index(cache.folder)
    refresh(cache.folder, clips, settings | {"source": "/sounds/birds"})
    with refused(sentence):
        Cache(cache.folder).named(names)
    if "mine" not in names:
        with refused(sentence):
            cache_of("esc50", tmp_path / "data", features=names)


def test_a_misspelt_path_does_not_find_the_cache_of_its_last_word(cache, tmp_path):
    place = tmp_path / "data" / "mine" / "features"
    place.parent.mkdir(parents=True)
    shutil.copytree(cache.folder, place)
    assert cache_of("mine", tmp_path / "data").folder == place
    with refused(
        r"unknown dataset 'sonds/mine.csv'.* \(DATASET= is a name, or the path"
    ):
        cache_of("sonds/mine.csv", tmp_path / "data")
    (tmp_path / "mines.csv").touch()
    with refused(r"unknown dataset .*; did you mean '.*/mines.csv'\? \(DATASET= is"):
        cache_of(str(tmp_path / "mine.csv"), tmp_path / "data")


def linked(cache):
    (cache.folder / "mine.h5").unlink()
    (cache.folder / "mine.h5").symlink_to("elsewhere.h5")


def of_another_format(cache):
    with h5py.File(cache.folder / "mine.h5", "r+") as file:
        file.attrs.modify("format_version", 0)


DAMAGES = {
    "not a regular file": linked,
    "has format 0, expected 1": of_another_format,
}


@pytest.mark.parametrize("said", DAMAGES)
def test_what_is_wrong_with_a_file_is_named(cache, said):
    DAMAGES[said](cache)
    with refused(said):
        Cache(cache.folder)["mine"]


def test_a_file_under_another_name_or_of_another_user_is_named(cache, monkeypatch):
    # stands for another user: root may read all files
    with monkeypatch.context() as other:
        other.setattr(hdf5.os, "access", lambda path, mode: path.name != "mine.h5")
        with refused("no permission to read it"):
            Cache(cache.folder)["mine"]
    path = (cache.folder / "mine.h5").rename(cache.folder / "mine@n_mels=64.h5")
    with refused(f"{path.name} holds mine, expected mine@n_mels=64"):
        Cache(cache.folder)[path.stem]
