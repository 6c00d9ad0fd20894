"""Pitch: constant-Q spectra, pitch classes, the tonal plane, the fundamental."""

import math

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.kernels import period
from pipeline.kernels.bands import chroma_filters
from pipeline.kernels.constantq import Bank
from pipeline.kernels.spectrum import centred_frames
from pipeline.parameters import EvenSamples, Framing, Hertz, Positive, Samples, Wavelets

SMALLEST = np.finfo(np.float32).tiny  # less in a frame, and librosa.util.normalize leaves it as it is


@feature(units="dB", rows=axes.constant_q, row_unit="Hz")
def cqt(clip: Clip, *, wavelets: Wavelets) -> np.ndarray:
    """Constant-Q transform."""
    return librosa.amplitude_to_db(clip.constant_q(Bank(wavelets)))


@feature(units="dB", rows=axes.constant_q, row_unit="Hz")
def vqt(clip: Clip, *, gamma: Positive | None = None, wavelets: Wavelets) -> np.ndarray:
    """Variable-Q transform."""
    return librosa.amplitude_to_db(clip.constant_q(Bank(wavelets, gamma=gamma)))


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Pitch classes from the spectrogram."""
    tuning = clip.tuning(12, framing, power=2)
    filters = chroma_filters(clip.sample_rate, framing.n_fft, tuning)
    raw = filters @ clip.power(framing)
    return raw / np.where(raw.max(axis=0) < SMALLEST, 1, raw.max(axis=0))


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma_cqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes from the constant-Q transform."""
    return librosa.feature.chroma_cqt(C=clip.thirds_of_semitones(hop_length))


@feature(units="of the norm", rows=axes.pitch_class, row_unit="pitch class")
def chroma_cens(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes, quantised and smoothed over 41 frames."""
    return librosa.feature.chroma_cens(C=clip.thirds_of_semitones(hop_length))


@feature(units="of the strongest", rows=axes.pitch_class, row_unit="pitch class")
def chroma_vqt(clip: Clip, *, hop_length: Samples = 512) -> np.ndarray:
    """Pitch classes in just intonation."""
    magnitude = clip.constant_q(Bank(Wavelets(hop_length=hop_length), intervals="ji5"))
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
    shortest, longest = int(clip.sample_rate / fmax), math.ceil(clip.sample_rate / fmin)
    if fmax > clip.sample_rate / 2 or clip.sample_rate / fmin >= frame_length - 1:
        raise Impossible("x")
    frames = centred_frames(clip.y, frame_length, hop_length)
    return clip.sample_rate / period.yin(frames, shortest, longest)[None]
