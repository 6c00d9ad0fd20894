"""Writing: the clips that a file already holds, and its lock meanwhile."""

import os

import numpy as np

from featurestack.features_cache.hdf5 import CachedFeature, lock
from featurestack.features_cache.index_file import note_verified, read_index
from featurestack.features_cache.writer import (
    Extraction,
    cache_writer,
    to_compute,
)
from tests.features_cache.conftest import CLIPS
from tests.refusal import refused


def whole(cache, spec):
    """A feature extraction for all clips of a cache."""
    clips, settings = read_index(cache.folder)
    every = slice(0, len(clips))
    given = {"clips": clips, "settings": settings, "stored": (spec,), "part": every}
    return Extraction(folder=cache.folder, read_only=False, **given)


def test_a_file_that_is_as_it_was_verified_is_not_read_again_until_damage_is_found(
    cache, file, spoil
):
    extraction = whole(cache, file)

    note_verified(cache.folder, ["mine"])
    times = file.path.stat().st_atime_ns, file.path.stat().st_mtime_ns
    spoil(2)
    work = to_compute(extraction)
    assert work.notes == ["computed again: 1 damaged feature map of mine"]
    assert np.flatnonzero(work.todo[:, 0]).tolist() == [2]
    os.utime(file.path, ns=times)
    # the file seems unchanged, so its damage is not looked for
    assert not to_compute(extraction).todo.any()
    with refused("clip2: damaged"):
        cache.read("mine", CLIPS)
    assert to_compute(extraction).clips.tolist() == [2]


def test_a_file_is_locked_while_its_clips_are_written(cache):
    """Another run that would make the file anew waits for this one."""
    axes = {"row_axis": np.arange(2.0), "frame_axis": np.arange(3.0)}
    audio = {"sample_rate": 8000, "samples": 8000}
    path = cache.folder / "new.h5"
    spec = CachedFeature(path=path, stored="new", feature="new", **axes, **audio)
    extraction = whole(cache, spec)
    other = lock(cache.folder, "new")
    with cache_writer(extraction, print):
        assert not other.take()
        assert other.take(shared=True)  # others write their own clips
        other.drop()
    assert other.take()
    other.release()
