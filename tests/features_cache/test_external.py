"""External features: what is stored, what is refused and why."""

import numpy as np
import pytest

from featurestack.features_cache import external
from featurestack.features_cache.hdf5 import read_header
from tests.features_cache.conftest import CLIPS
from tests.processes import files_end_at
from tests.refusal import refused


@pytest.mark.parametrize("shape", [(8,), (8, 6), (8, 6, 2)])
def test_vectors_and_numbers_become_feature_maps(cache, shape):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    external.write_feature(cache.folder, "vector", values, CLIPS, dtype="float32")
    maps = values.reshape((*shape, 1, 1)[:3])
    assert np.array_equal(cache.read("vector", CLIPS), maps)


def test_clips_that_are_not_given_are_not_done(cache, values):
    given = ["clip6", "clip1", "clip3"]
    external.write_feature(cache.folder, "some", values[:3], given)
    assert np.flatnonzero(cache.readable(["some"])).tolist() == [1, 3, 6]
    assert np.array_equal(cache.read("some", ["clip6"])[0], values[0])


WRONG = [
    (
        {"values": np.zeros((7, 4, 5))},
        r"shape \(7, 4, 5\) for 8 clips; expected \(8, rows, frames\)",
    ),
    ({"values": np.full((8, 2), np.nan)}, "clip0: 2 values NaN"),
    ({"clip_ids": [*CLIPS[:7], "clip0"]}, "occur twice: clip0"),
    ({"clip_ids": [*CLIPS[:7], "who"]}, "has no clips who"),
    ({"name": "mine"}, "has mine already"),
    ({"name": "a@b=1"}, "one word"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_wrong_is_refused_with_the_reason_and_leaves_nothing(
    cache, given, message
):
    before = sorted(cache.folder.glob("*.*"))
    arguments = {"name": "new", "values": np.zeros((8, 2)), "clip_ids": CLIPS} | given
    with refused(message):
        external.write_feature(cache.folder, **arguments)
    assert sorted(cache.folder.glob("*.*")) == before


def test_a_full_disk_is_one_sentence_and_leaves_the_cache_as_it_was(cache):
    before = {path: path.read_bytes() for path in cache.folder.glob("[!.]*.*")}
    full = r"^\[Errno 27\] File too large: '.*new\.h5, 0\.032 MB'$"
    with files_end_at(30_000), pytest.raises(OSError, match=full):
        external.write_feature(cache.folder, "new", np.zeros((8, 2000)), CLIPS)
    now = {path: path.read_bytes() for path in cache.folder.glob("[!.]*.*")}
    assert now == before


def test_the_fingerprint_of_a_feature_covers_its_values(cache):
    keys = []
    for number in (0.0, 1.0, 0.0):
        external.write_feature(cache.folder, "vector", np.full((8, 2), number), CLIPS)
        keys.append(read_header(cache.folder / "vector.h5").key)
        (cache.folder / "vector.h5").unlink()
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


@pytest.mark.parametrize("folder", ["/", "../..", "."])
def test_a_folder_without_a_name_becomes_no_cache(folder):
    with refused("give the folder a name of its own"):
        external.create_cache(folder, {"clip_id": ["a"], "label": ["x"], "fold": [1]})


def test_columns_of_different_lengths_are_refused(tmp_path):
    clips = {"clip_id": [*"abc"], "label": ["x", "y"], "fold": [1, 2, 1]}
    with refused("columns differ in length: clip_id 3, label 2, fold 3"):
        external.create_cache(tmp_path / "new", clips)


@pytest.mark.parametrize("hole", [None, float("nan"), ""])
def test_a_missing_label_among_classes_is_refused(tmp_path, hole):
    """A table of several labels may have clips with none of them."""
    clips = {"clip_id": [*"abc"], "label": ["x", hole, "y"], "fold": [1, 2, 1]}
    with refused("^b has no label, like 1 of 3 rows: write one, or remove the rows"):
        external.create_cache(tmp_path / "classes", clips)
    assert not (tmp_path / "classes").exists()
    external.create_cache(tmp_path / "tags", clips | {"label": ["x;y", hole, "y"]})
