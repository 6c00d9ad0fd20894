"""The intermediates of a clip are computed once, and their time is shared."""

import numpy as np

from pipeline.clip import Clip, shared


def test_each_set_of_arguments_is_computed_once_a_clip():
    calls = []

    @shared
    def recorded(clip, factor):
        calls.append(factor)

    for clip in (Clip(np.zeros(1), 8000), Clip(np.zeros(1), 8000)):
        for factor in (2, 3, 2):
            recorded(clip, factor)
    assert calls == [2, 3, 2, 3]


def test_features_share_the_time_of_the_intermediates_that_they_share(monkeypatch):
    now = [0]  # nanoseconds
    monkeypatch.setattr("pipeline.clip.time.perf_counter_ns", lambda: now[0])

    def lasts(nanoseconds):
        now[0] += nanoseconds

    @shared
    def spectrum(clip):
        lasts(600)

    @shared
    def bands(clip):
        spectrum(clip)
        lasts(40)

    clip = Clip(np.zeros(1), 8000)
    clip.timed("mel", lambda: (bands(clip), lasts(1)))
    clip.timed("mfcc", lambda: (bands(clip), lasts(2)))
    clip.timed("centroid", lambda: (spectrum(clip), lasts(3)))
    clip.timed("rms", lambda: lasts(5))
    assert clip.costs(["mel", "mfcc", "centroid", "rms"]) == {
        "mel": 200 + 20 + 1,
        "mfcc": 200 + 20 + 2,
        "centroid": 200 + 3,
        "rms": 5,
    }
