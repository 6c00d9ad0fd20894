"""Pitch: constant-Q spectra, pitch classes, the tonal plane, the fundamental."""

import warnings

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.parameters import EvenSamples, Framing, Hertz, Positive, Samples, Wavelets


@feature(units="dB", rows=axes.constant_q, row_unit="Hz")
def cqt(clip: Clip, *, wavelets: Wavelets) -> np.ndarray:
    """Constant-Q transform."""
    return librosa.amplitude_to_db(clip.constant_q(wavelets))


@feature(units="dB", rows=axes.constant_q, row_unit="Hz")
def vqt(clip: Clip, *, gamma: Positive | None = None, wavelets: Wavelets) -> np.ndarray:
    """Variable-Q transform."""
    return librosa.amplitude_to_db(clip.variable_q(wavelets, gamma, "equal"))


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Pitch classes from the spectrogram."""
    tuning = clip.tuning(12, framing, power=2)
    return librosa.feature.chroma_stft(S=clip.power(framing), sr=clip.sample_rate, tuning=tuning)


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma_cqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes from the constant-Q transform."""
    return librosa.util.normalize(clip.chroma_cqt(hop_length), axis=-2)


@feature(units="of the norm", rows=axes.pitch_class, row_unit="pitch class")
def chroma_cens(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes, quantised and smoothed over 41 frames."""
    magnitude = clip.constant_q(Wavelets(252, 36, 1.0, hop_length), tuned=True)
    return librosa.feature.chroma_cens(C=magnitude)


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma_vqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes in just intonation."""
    magnitude = clip.variable_q(Wavelets(hop_length=hop_length), 0.0, "ji5")
    return librosa.feature.chroma_vqt(V=magnitude, intervals="ji5")


@feature(units="coordinate")
def tonnetz(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Tonal centroids."""
    return librosa.feature.tonnetz(chroma=chroma_cqt(clip, hop_length=hop_length))


@feature(units="Hz")
def yin(
    clip: Clip,
    *,
    fmin: Hertz = 65.0,
    fmax: Hertz = 2093.0,
    frame_length: EvenSamples = 2048,
    hop_length: Samples = 512,
) -> np.ndarray:
    """Fundamental frequency."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return librosa.yin(
                y=clip.y,
                sr=clip.sample_rate,
                fmin=fmin,
                fmax=fmax,
                frame_length=frame_length,
                hop_length=hop_length,
            )[None]
        except librosa.ParameterError as reason:
            raise Impossible(str(reason)) from None
