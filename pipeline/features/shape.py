"""The shape of each frame's spectrum, and of its samples, in a few numbers."""

import librosa
import numpy as np

from pipeline.clip import Clip, Impossible
from pipeline.features import axes
from pipeline.features.registry import feature
from pipeline.kernels.columns import extremes, first_bin_reaching, weighted_sums
from pipeline.kernels.spectrum import centred_frames
from pipeline.parameters import Count, EvenSamples, Framing, Hertz, Samples, Unit

TINY = np.finfo(np.float32).tiny  # less in a frame, and librosa does not divide by it


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
    magnitude = clip.magnitude(framing, exact=True)
    edges = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    if edges[-2] >= clip.sample_rate / 2:
        raise Impossible(f"its highest band begins at {edges[-2]:g} Hz, half the sample rate is below")
    frequency = librosa.fft_frequencies(sr=clip.sample_rate, n_fft=framing.n_fft)
    valleys, peaks = [], []
    for k in range(n_bands + 1):
        first = np.searchsorted(frequency, edges[k]) - (k > 0)
        last = np.searchsorted(frequency, edges[k + 1], side="right") if k < n_bands else len(frequency)
        count = max(1, int(np.rint(quantile * (last - first))))
        valley, peak = extremes(magnitude[first : last - (k < n_bands)], count)
        valleys.append(valley)
        peaks.append(peak)
    return librosa.power_to_db(np.array(peaks)) - librosa.power_to_db(np.array(valleys))


@feature(units="Hz")
def centroid(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral centroid."""
    return _mean_and_spread(clip, framing)[0][None]


@feature(units="Hz")
def bandwidth(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral bandwidth."""
    return _mean_and_spread(clip, framing)[1][None]


def _mean_and_spread(clip: Clip, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
    """(frames,), (frames,): centre of gravity of the spectrum in Hz, standard deviation about it."""
    frequency = librosa.fft_frequencies(sr=clip.sample_rate, n_fft=framing.n_fft)
    total, first, second = weighted_sums(
        np.vander(frequency, 3, increasing=True).T.copy(), clip.magnitude(framing)
    )
    total[total < TINY] = 1.0
    mean = first / total
    return mean, np.sqrt(np.maximum(0, second / total - mean**2))


@feature(units="Hz")
def rolloff(clip: Clip, *, roll_percent: Unit = 0.85, framing: Framing) -> np.ndarray:
    """Spectral rolloff."""
    bins = first_bin_reaching(clip.magnitude(framing), roll_percent)
    return librosa.fft_frequencies(sr=clip.sample_rate, n_fft=framing.n_fft)[bins][None]


@feature(units="ratio")
def flatness(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral flatness."""
    energy = np.maximum(np.float32(1e-10), clip.power(framing))
    mean = np.full((1, len(energy)), 1 / len(energy))
    return np.exp(weighted_sums(mean, np.log(energy))) / weighted_sums(mean, energy)


@feature(units="amplitude")
def poly(clip: Clip, *, order: Count = 1, framing: Framing) -> np.ndarray:
    """Polynomial fitted to each frame's spectrum."""
    frequency = librosa.fft_frequencies(sr=clip.sample_rate, n_fft=framing.n_fft)
    fit = np.linalg.pinv(np.vander(frequency / frequency[-1], order + 1))
    powers = frequency[-1] ** np.arange(order, -1, -1)
    return weighted_sums(fit / powers[:, None], clip.magnitude(framing))


@feature(units="amplitude")
def rms(clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = 512) -> np.ndarray:
    """Root mean square of each frame."""
    frames = centred_frames(clip.y, frame_length, hop_length)
    return np.sqrt(np.einsum("ts,ts->t", frames, frames) / frame_length)[None]


@feature(units="part of samples")
def zcr(clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = 512) -> np.ndarray:
    """Zero-crossing rate."""
    padded = np.pad(clip.y, frame_length // 2, mode="edge")
    negative = padded < -1e-10  # what librosa.zero_crossings takes for more than silence
    crossings = np.concatenate([[0], np.cumsum(negative[1:] != negative[:-1])])
    first = np.arange(0, len(padded) - frame_length + 1, hop_length)
    return (crossings[first + frame_length - 1] - crossings[first])[None] / frame_length
