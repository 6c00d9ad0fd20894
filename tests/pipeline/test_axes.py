"""Axes equal librosa's, shapes equal those of the values."""

import pickle

import librosa
import numpy as np
import pytest

from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.parameters import Impossible
from tests.pipeline.test_features import NOISE, variant

LIBROSAS = {
    "stft@n_fft=600": lambda rate: librosa.fft_frequencies(sr=rate, n_fft=600),
    "mel": lambda rate: librosa.mel_frequencies(130, fmax=rate / 2)[1:-1],
    "mel@n_mels=7,fmin=50,fmax=500": lambda rate: librosa.mel_frequencies(
        9, fmin=50, fmax=500
    )[1:-1],
    "cqt": lambda rate: librosa.cqt_frequencies(84, fmin=librosa.note_to_hz("C1")),
    "tempogram": lambda rate: librosa.frames_to_time(np.arange(384), sr=rate),
    "fourier_tempogram": lambda rate: librosa.fourier_tempo_frequencies(
        sr=rate, win_length=384
    ),
}


@pytest.mark.parametrize("name", LIBROSAS)
def test_rows_stand_for_what_librosa_says(name):
    rows = variant(name).row_axis(44100)
    np.testing.assert_allclose(rows, LIBROSAS[name](44100), rtol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        *FEATURES.complete(),
        "fourier_tempogram@hop_length=300",
        "cqt@hop_length=192,n_bins=30",
    ],
)
def test_the_shape_by_formula_is_that_of_the_values(name):
    rate, samples = 44100, 37 * 512 - 1
    chosen = pickle.loads(pickle.dumps(variant(name)))  # a worker gets it pickled
    # `compute` refuses another shape
    chosen.compute(Clip(NOISE[:samples].astype(np.float32), rate))
    first, *_, last = chosen.frame_axis(rate, samples)
    if chosen.feature.frame_unit == "s":
        assert first == 0 and samples / rate - 0.1 < last < samples / rate + 0.1


@pytest.mark.parametrize(
    ("name", "rate", "samples"),
    [
        ("contrast", 8000, 40000),
        ("mel_delta", 44100, 8 * 511),
        ("yin@fmin=10", 44100, 44100),
        ("mel@fmin=9000,fmax=100", 44100, 44100),
        ("modulation@fmin=4000", 8000, 8000),
    ],
)
def test_what_cannot_exist_says_why(name, rate, samples):
    with pytest.raises(Impossible, match=r"\d"):
        variant(name).shape(rate, samples)


def test_clips_of_nine_frames_have_a_delta():
    assert variant("mel_delta").shape(44100, 8 * 512) == (128, 9)
