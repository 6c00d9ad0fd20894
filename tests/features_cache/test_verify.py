"""Verify names the clip and the feature, or the file."""

import shutil

import h5py
import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache import Cache, external, hdf5
from features_cache.layout import read_header
from features_cache.verify import verify_cache

CLIPS = [f"clip{number}" for number in range(8)]


def verdict(cache, name="mine"):
    return next(one for one in verify_cache(cache.folder) if one.name == name)


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_an_undamaged_cache_is_intact(cache):
    assert all(one.intact for one in verify_cache(cache.folder))
    assert str(verdict(cache)) == "mine: 8 clips intact"


def test_a_flipped_bit_in_values_names_clip_and_feature(cache):
    file = read_header(cache.folder / "mine.h5")
    flip(file.path, file.values_offset + 6 * file.clip_bytes + 1)
    assert verdict(cache).damaged == ("clip6",)
    assert "mine: clip6 damaged" in str(verdict(cache))


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_damaged_state_word_counts_as_not_done(cache, bit):
    file = read_header(cache.folder / "mine.h5")
    flip(file.path, file.state_offset + 8 * 2 + bit)
    assert not verdict(cache).intact
    assert verdict(cache).done == 7


def test_clips_that_are_missing_are_no_damage(cache):
    read_header(cache.folder / "mine.h5").forget(np.array([1, 2]))
    assert verdict(cache).missing == ("clip1", "clip2")
    assert verdict(cache).intact


@pytest.mark.parametrize("name", ["mine.h5", "index.h5"])
@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_truncated_file_is_named(cache, name, length):
    path = cache.folder / name
    path.write_bytes(path.read_bytes()[:length])
    assert any(f"{name} cannot be read" in str(one) for one in verify_cache(cache.folder))


def test_a_file_of_another_cache_is_named(cache, tmp_path, table, values):
    other = tmp_path / "other"
    external.create_cache(other, table | {"clip_id": [f"other{number}" for number in range(8)]})
    external.write_feature(other, "mine", values, [f"other{number}" for number in range(8)])
    shutil.copy(other / "mine.h5", cache.folder / "mine.h5")
    assert verdict(cache).error == "mine.h5 holds no clip of this cache: a file of another one"


def test_a_file_of_the_same_clips_with_other_settings_is_found(cache, tmp_path, table, values):
    other = tmp_path / "other"
    external.create_cache(other, table, sample_rate=22050, duration=1.0)
    external.write_feature(other, "mine", values, CLIPS)
    shutil.copy(other / "mine.h5", cache.folder / "mine.h5")
    assert verdict(cache).outdated == tuple(CLIPS)


def swap(folder, one, other):
    aside = (folder / one).rename(folder / "aside")
    (folder / other).rename(folder / one)
    aside.rename(folder / other)


def test_feature_files_under_exchanged_names_are_named_and_not_read(cache, values):
    external.write_feature(cache.folder, "other", values + 1, CLIPS)
    swap(cache.folder, "mine.h5", "other.h5")
    assert verdict(cache).error == "mine.h5 holds other, expected mine"
    assert verdict(cache, "other").error == "other.h5 holds mine, expected other"
    with pytest.raises(RequestError, match=r"mine\.h5 holds other, expected mine; make features"):
        Cache(cache.folder).read("mine", CLIPS)


def test_a_copy_under_another_name_and_a_variant_under_the_plain_name_are_named(cache, values):
    shutil.copy(cache.folder / "mine.h5", cache.folder / "mine@n_mels=64.h5")
    assert verdict(cache, "mine@n_mels=64").error == "mine@n_mels=64.h5 holds mine, expected mine@n_mels=64"
    for attribute, value in (("feature", b"some"), ("parameters", b'{"n_mels": 32}')):
        with h5py.File(cache.folder / "mine@n_mels=64.h5", "r+") as file:
            file.attrs["stored"] = np.bytes_(b"mine@n_mels=64")
            file.attrs[attribute] = np.bytes_(value)
        assert "expected mine@n_mels=64" in verdict(cache, "mine@n_mels=64").error


@pytest.mark.parametrize("axis", ["row_axis", "frame_axis", "clip_id"])
def test_values_of_another_shape_than_the_axes_are_named(cache, axis):
    with h5py.File(cache.folder / "mine.h5", "r+") as file:
        longer = np.append(file[axis][()], file[axis][:1])
        del file[axis]
        hdf5.write_column(file, axis, longer)
    assert "mine.h5 holds values (8, 4, 5)" in verdict(cache).error


def test_a_link_to_what_is_not_there_is_named(cache):
    (cache.folder / "mine.h5").unlink()
    (cache.folder / "mine.h5").symlink_to("elsewhere.h5")
    assert str(verdict(cache)) == "mine.h5 cannot be read: it is no regular file"
    with pytest.raises(hdf5.DamagedFile, match="remove it"), hdf5.opened(cache.folder / "mine.h5"):
        pass


def test_a_file_of_another_user_is_named_in_a_few_words(cache, monkeypatch):
    monkeypatch.setattr(hdf5.os, "access", lambda path, mode: path.name != "mine.h5")  # root may read all
    assert str(verdict(cache)) == "mine.h5 cannot be read: Permission denied"
    with pytest.raises(hdf5.DamagedFile, match="chmod"), hdf5.opened(cache.folder / "mine.h5"):
        pass
