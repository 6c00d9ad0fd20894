"""Verify names the clip and the feature, or the file."""

import shutil

import numpy as np
import pytest

from features_cache import external
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
