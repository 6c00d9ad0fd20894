"""The intermediates of a clip."""

import numpy as np

from featurestack.pipeline.clip_spectra import Clip, shared


def test_an_intermediate_is_computed_once_for_its_arguments_and_features_share_its_time(
    monkeypatch,
):
    now = [0]  # nanoseconds
    monkeypatch.setattr(
        "featurestack.pipeline.clip_spectra.time.thread_time_ns", lambda: now[0]
    )

    def lasts(nanoseconds):
        now[0] += nanoseconds

    @shared
    def spectrum(clip, nanoseconds):
        lasts(nanoseconds)

    @shared
    def bands(clip):
        spectrum(clip, 600)
        lasts(40)

    clip = Clip(np.zeros(1), 8000)
    clip.timed("mel", lambda: (bands(clip), lasts(1)))
    clip.timed("centroid", lambda: (spectrum(clip, 600), lasts(3)))
    clip.timed("stft", lambda: spectrum(clip, 50))
    assert clip.costs(["mel", "centroid", "stft"]) == {
        "mel": 300 + 40 + 1,
        "centroid": 300 + 3,
        "stft": 50,
    }
