"""Rhythm: the onset envelope and what recurs in it."""

import warnings

import librosa
import numpy as np

from pipeline.clip import Clip
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.parameters import EvenSamples, Framing, Samples


@feature(units="dB")
def onset(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Onset strength."""
    return clip.onset(Framing(hop_length=hop_length))[None]


@feature(units="of the strongest", rows=axes.lag, row_unit="s")
def tempogram(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Autocorrelation tempogram."""
    return clip.tempogram(win_length, hop_length)


@feature(units="dB", rows=axes.tempo, row_unit="BPM")
def fourier_tempogram(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Fourier tempogram."""
    envelope = clip.onset(Framing(hop_length=hop_length))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.abs(
            librosa.feature.fourier_tempogram(
                onset_envelope=envelope, win_length=win_length, hop_length=hop_length
            )
        )


@feature(units="of the strongest", rows=axes.metre, row_unit="of the tempo")
def tempogram_ratio(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Strength at simple multiples of the tempo."""
    return librosa.feature.tempogram_ratio(
        tg=clip.tempogram(win_length, hop_length), sr=clip.sample_rate, hop_length=hop_length
    )
