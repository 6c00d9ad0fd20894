"""`info`: rounding errors, clips done, versions and failures, by hand-made figures."""

import numpy as np
import pandas as pd

from features_cache import Cache, external
from features_cache.index import write_failures
from features_cache.info import describe_cache
from features_cache.layout import read_header

CLIPS = [f"clip{number}" for number in range(8)]


def columns(cache, name):
    """The cells of one feature's line."""
    (line,) = [
        line for line in describe_cache(Cache(cache.folder)).splitlines() if line.startswith(f"{name} ")
    ]
    return line.split()


def test_rounding_is_half_the_distance_between_neighbouring_numbers(cache):
    for name, dtype, largest, error in [("a", "float16", 1.5, "0.0005"), ("b", "float32", 1.5, "6e-08")]:
        values = np.full((8, 2), largest)
        external.write_feature(cache.folder, name, values, CLIPS, dtype=dtype)
        assert columns(cache, name)[5:7] == [dtype, error]


def test_clips_that_are_not_done_are_not_counted(cache):
    read_header(cache.folder / "mine.h5").forget(np.array([1, 2]))
    assert columns(cache, "mine")[3] == "6"
    read_header(cache.folder / "mine.h5").forget(np.arange(8))
    assert columns(cache, "mine")[3] == "0"
    assert columns(cache, "mine")[6] == "-"  # nothing to tell the rounding from


def test_failures_versions_and_the_whole_size_are_reported(cache):
    clips = pd.DataFrame({"clip_id": CLIPS, "path": ""})
    write_failures(
        cache.folder, clips, np.arange(8), ["mel"], [(0, "all", "empty"), (0, "mel", "NaN"), (3, "all", "x")]
    )
    shown = describe_cache(Cache(cache.folder))
    assert "\n2 clips could not be done" in shown
    write_failures(cache.folder, clips, np.array([0]), ["mine"], [(0, "mine", "NaN"), (3, "mine", "NaN")])
    shown = describe_cache(Cache(cache.folder))
    assert "\n1 clip could not be done" in shown and "\nmine of 1 clip could not be done" in shown
    write_failures(cache.folder, clips, np.arange(8), ["mine"], [(0, "mine", "NaN")])
    assert describe_cache(Cache(cache.folder)).count("could not be done") == 1
    assert "1 feature made by others" in shown
    assert f"1 feature, {(cache.folder / 'mine.h5').stat().st_size / 1e3:.1f} kB" in shown
