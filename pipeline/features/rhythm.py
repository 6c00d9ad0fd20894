"""Rhythm: the onset envelope and what recurs in it."""

import numpy as np

from pipeline.clip import Clip
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.kernels.period import at_multiples_of_tempo
from pipeline.kernels.spectrum import magnitudes
from pipeline.parameters import EvenSamples, Samples


@feature(units="dB")
def onset(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Onset strength."""
    return clip.onset(hop_length)[None]


@feature(units="of the strongest", rows=axes.lag, row_unit="s")
def tempogram(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Autocorrelation tempogram."""
    return clip.tempogram(win_length, hop_length).T


@feature(units="dB", rows=axes.tempo, row_unit="BPM")
def fourier_tempogram(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Fourier tempogram."""
    return magnitudes(clip.onset(hop_length), n_fft=win_length, hop_length=1)


@feature(units="of the strongest", rows=axes.metre, row_unit="of the tempo")
def tempogram_ratio(clip: Clip, *, win_length: EvenSamples = 384, hop_length: Samples = 512) -> np.ndarray:
    """Strength at simple multiples of the tempo."""
    tempogram = clip.tempogram(win_length, hop_length)
    return at_multiples_of_tempo(tempogram, clip.sample_rate, hop_length, axes.metre(clip.sample_rate))
