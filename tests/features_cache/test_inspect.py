"""What a cache holds, and what is wrong with it: the clip and the feature, or the file, is named."""

import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from commandline.registry import RequestError
from features_cache import Cache, external, hdf5
from features_cache.index import write_failures
from features_cache.inspect import describe_cache, verify_cache
from features_cache.layout import read_header
from tests.features_cache.conftest import CLIPS


def verdict(cache, name="mine"):
    return next(verdict for verdict in verify_cache(cache.folder) if verdict.name == name)


def test_features_clips_rounding_and_what_belongs_to_no_clip_are_listed(cache):
    for name, dtype in (("a", "float16"), ("b", "float32")):
        external.write_feature(cache.folder, name, np.full((8, 2), 1.5), CLIPS, dtype=dtype)
    read_header(cache.folder / "a.h5").forget(np.array([1, 2]))
    read_header(cache.folder / "b.h5").forget(np.arange(8))
    shown = describe_cache(Cache(cache.folder))
    assert shown.startswith("brought: 8 clips and 0 altered copies without audio, 8000 Hz, 1 s\n")
    assert re.search(r"^mine +4 +5 +8 +0\.1 +float16 +0\.00\d+ +dB$", shown, re.MULTILINE)
    cells = [re.split(" {2,}", line) for line in shown.splitlines()]
    assert [cell[3:7:3] for cell in cells if cell[0] in "ab"] == [["6", "0.0005"], ["0", "-"]]
    assert "mine: no parameters; code 0; made 20" in shown
    (cache.folder / "b.h5").write_bytes(b"")
    shown = describe_cache(Cache(cache.folder))
    assert "b.h5 cannot be read" in shown


def test_failures_are_counted_by_clip_and_by_feature(cache):
    clips = pd.DataFrame({"clip_id": CLIPS, "path": ""})
    failures = [(0, "all", "empty"), (0, "mine", "NaN"), (3, "mine", "NaN")]
    write_failures(cache.folder, clips, np.arange(8), ["mine"], failures)
    shown = describe_cache(Cache(cache.folder))
    assert "\n1 clip could not be done" in shown and "\nmine of 1 clip could not be done" in shown


def test_an_undamaged_cache_is_intact_and_clips_may_be_missing(cache):
    assert [str(verdict) for verdict in verify_cache(cache.folder)][1] == "mine: 8 clips intact"
    read_header(cache.folder / "mine.h5").forget(np.array([1, 2]))
    assert verdict(cache).missing == ("clip1", "clip2") and verdict(cache).intact


@pytest.mark.parametrize(("state", "said"), [(None, "clip6 damaged"), (0, "damaged"), (7, "not done")])
def test_a_flipped_bit_names_clip_and_feature(cache, spoil, state, said):
    spoil(read_header(cache.folder / "mine.h5"), 6, state=state)
    assert not verdict(cache).intact and verdict(cache).done == 7
    assert "mine: clip6" in str(verdict(cache)) and said in str(verdict(cache))


@pytest.mark.parametrize("name", ["mine.h5", "index.h5"])
def test_a_truncated_file_is_named(cache, name):
    path = cache.folder / name
    path.write_bytes(path.read_bytes()[:5000])
    assert any(f"{name} cannot be read" in str(verdict) for verdict in verify_cache(cache.folder))


def test_a_file_of_another_cache_or_of_other_settings_is_found(cache, tmp_path, table, values):
    for number, (change, rate) in enumerate([({"clip_id": list("klmnopqr")}, 8000), ({}, 22050)]):
        other = tmp_path / f"other{number}"
        external.create_cache(other, table | change, sample_rate=rate, duration=1.0)
        external.write_feature(other, "mine", values, (table | change)["clip_id"])
        shutil.copy(other / "mine.h5", cache.folder / "mine.h5")
        if change:
            assert "mine.h5 holds no clip of this cache: a file of another one" in verdict(cache).error
        else:
            assert "made from 22050 samples at 22050 Hz" in verdict(cache).error


def test_a_file_under_another_name_is_named_and_not_read(cache):
    path = (cache.folder / "mine.h5").rename(cache.folder / "mine@n_mels=64.h5")
    assert f"{path.name} holds mine, expected mine@n_mels=64" in verdict(cache, path.stem).error
    with pytest.raises(RequestError, match="holds mine, expected mine@n_mels=64; make features"):
        Cache(cache.folder).read("mine@n_mels=64", CLIPS)


@pytest.mark.parametrize("axis", ["row_axis", "frame_axis", "clip_id"])
def test_values_of_another_shape_than_the_axes_are_named(cache, axis):
    with h5py.File(cache.folder / "mine.h5", "r+") as file:
        longer = np.append(file[axis][()], file[axis][:1])
        del file[axis]
        hdf5.write_column(file, axis, longer)
    assert "mine.h5 holds values (8, 4, 5)" in verdict(cache).error


def test_a_link_and_a_file_of_another_user_are_named(cache, monkeypatch):
    with monkeypatch.context() as other:  # root may read all
        other.setattr(hdf5.os, "access", lambda path, mode: path.name != "mine.h5")
        assert "mine.h5 cannot be read: Permission denied" in str(verdict(cache))
    (cache.folder / "mine.h5").unlink()
    (cache.folder / "mine.h5").symlink_to("elsewhere.h5")
    assert "mine.h5 cannot be read: it is no regular file" in str(verdict(cache))
