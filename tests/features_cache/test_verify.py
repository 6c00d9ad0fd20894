"""If a cache is damaged, the message names the clip and the feature, or the file."""

import shutil

import h5py
import numpy as np
import pytest

from featurestack.features_cache import external, hdf5
from featurestack.features_cache.cache import Cache, verify_cache
from tests.features_cache.conftest import TABLE
from tests.golden.commands import done


def verdict(cache, name="mine"):
    return verify_cache(Cache(cache.folder))[name]


def test_a_file_that_cannot_be_read_hides_no_other_damage(cache, spoil):
    spoil(6)
    (cache.folder / "cut.h5").write_bytes(b"")
    answer = done("verify", 1, DATASET=cache.folder, FEATURES="cut mine")
    assert "cut.h5 cannot be read" in answer.out and "mine: clip6 damaged" in answer.out
    (cache.folder / "index.h5").write_bytes(b"")
    answer = done("verify", 1, DATASET=cache.folder, FEATURES="mine")
    assert "index.h5 cannot be read" in answer.out


@pytest.mark.parametrize(
    ("state", "said"), [(0, "clip6 damaged"), (7, "clip6 outdated")]
)
def test_a_flipped_bit_of_a_state_word_names_clip_and_feature(
    cache, spoil, state, said
):
    spoil(6, state=state)
    text, intact = verdict(cache)
    assert not intact
    assert "mine: 7 clips intact" in text and f"mine: {said}" in text


def of_other_clips(cache):
    """Replace the file of `mine` by that of another cache."""
    other = cache.folder.parent / "other"
    ids = list("klmnopqr")
    table = TABLE | {"clip_id": ids}
    external.create_cache(other, table, sample_rate=8000, duration=1.0)
    external.write_feature(other, "mine", np.zeros((8, 4, 5)), ids)
    shutil.copy(other / "mine.h5", cache.folder / "mine.h5")


def linked(cache):
    (cache.folder / "mine.h5").unlink()
    (cache.folder / "mine.h5").symlink_to("elsewhere.h5")


def of_another_format(cache):
    with h5py.File(cache.folder / "mine.h5", "r+") as file:
        file.attrs.modify("format_version", 99)


DAMAGES = {
    "holds no clip of this cache": of_other_clips,
    "not a regular file": linked,
    "has format 99, expected 1": of_another_format,
}


@pytest.mark.parametrize("said", DAMAGES)
def test_what_is_wrong_with_a_file_is_named(cache, said):
    DAMAGES[said](cache)
    assert said in verdict(cache)[0]
    # it could not mend an exported file
    assert "make features" not in verdict(cache)[0]


def test_a_file_under_another_name_or_of_another_user_is_named(cache, monkeypatch):
    # stands for another user: root may read all files
    with monkeypatch.context() as other:
        other.setattr(hdf5.os, "access", lambda path, mode: path.name != "mine.h5")
        assert "no permission to read it" in verdict(cache)[0]
    path = (cache.folder / "mine.h5").rename(cache.folder / "mine@n_mels=64.h5")
    said = f"{path.name} holds mine, expected mine@n_mels=64"
    assert said in verdict(cache, path.stem)[0]
