"""The shape of each frame's spectrum, and of its samples, in a few numbers."""

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.parameters import Count, EvenSamples, Framing, Hertz, Samples, Unit


@feature(units="dB", rows=axes.contrast_band, row_unit="Hz")
def contrast(
    clip: Clip,
    *,
    fmin: Hertz = 200.0,
    n_bands: Count = 6,
    quantile: Unit = 0.02,
    framing: Framing,
) -> np.ndarray:
    """Spectral contrast."""
    if fmin * 2 ** (n_bands - 1) >= clip.sample_rate / 2:
        raise Impossible("too high")
    return librosa.feature.spectral_contrast(
        S=clip.magnitude(framing), sr=clip.sample_rate, fmin=fmin, n_bands=n_bands, quantile=quantile
    )


@feature(units="Hz")
def centroid(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral centroid."""
    return librosa.feature.spectral_centroid(S=clip.magnitude(framing), sr=clip.sample_rate)


@feature(units="Hz")
def bandwidth(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral bandwidth."""
    return librosa.feature.spectral_bandwidth(S=clip.magnitude(framing), sr=clip.sample_rate)


@feature(units="Hz")
def rolloff(clip: Clip, *, roll_percent: Unit = 0.85, framing: Framing) -> np.ndarray:
    """Spectral rolloff."""
    return librosa.feature.spectral_rolloff(
        S=clip.magnitude(framing), sr=clip.sample_rate, roll_percent=roll_percent
    )


@feature(units="ratio")
def flatness(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral flatness."""
    return librosa.feature.spectral_flatness(S=clip.magnitude(framing))


@feature(units="amplitude")
def poly(clip: Clip, *, order: Count = 1, framing: Framing) -> np.ndarray:
    """Polynomial fitted to each frame's spectrum."""
    return librosa.feature.poly_features(S=clip.magnitude(framing), sr=clip.sample_rate, order=order)


@feature(units="amplitude")
def rms(clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = 512) -> np.ndarray:
    """Root mean square of each frame."""
    return librosa.feature.rms(y=clip.y, frame_length=frame_length, hop_length=hop_length)


@feature(units="part of samples")
def zcr(clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = 512) -> np.ndarray:
    """Zero-crossing rate."""
    return librosa.feature.zero_crossing_rate(y=clip.y, frame_length=frame_length, hop_length=hop_length)
