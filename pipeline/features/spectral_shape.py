"""The shape of each frame's spectrum, and of its samples, in a few numbers."""

import numpy as np

from featurestack.pipeline import kernels
from featurestack.pipeline.clip_spectra import TINY, Clip
from featurestack.pipeline.features import feature
from featurestack.pipeline.parameters import (
    HOP,
    Degree,
    EvenSamples,
    Fraction,
    Framing,
    Hertz,
    Impossible,
    Quantile,
    Samples,
    frequency_axis,
)

NARROW = 1e-6  # share of half the sample rate; a smaller spread means a single bin
MOST_KURTOSIS = 6e4  # fits float16; a single bin among 1,025 can have 500,000


def power_axis(_: int, *, order: int) -> np.ndarray:
    """The index of each coefficient of a polynomial, the highest power first."""
    return np.arange(order + 1.0)


def contrast_bands(
    sample_rate: int, *, fmin: float, n_bands: int, n_fft: int
) -> list[tuple[float, slice]]:
    """Hz of the lower end of each band, and its bins; from 0 Hz to half the rate."""
    frequency = frequency_axis(sample_rate, n_fft=n_fft)
    edges = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    if edges[-2] >= sample_rate / 2:
        raise Impossible(
            f"its highest band begins at {edges[-2]:g} Hz, above half the sample rate"
        )
    first = np.searchsorted(frequency, edges[:-1]) - (np.arange(n_bands + 1) > 0)
    inner = np.searchsorted(frequency, edges[1:-1], side="right") - 1
    last = np.append(inner, len(frequency))
    if (last <= first).any():
        empty = edges[int(np.argmax(last <= first))]
        raise Impossible(
            f"no bin of n_fft={n_fft} lies in the band from {empty:g} Hz; raise n_fft"
        )
    return [(float(edge), slice(*bins)) for edge, *bins in zip(edges, first, last)]


def contrast_axis(
    sample_rate: int, *, fmin: float, n_bands: int, n_fft: int
) -> np.ndarray:
    """Hz of the lower end of each contrast band."""
    bands = contrast_bands(sample_rate, fmin=fmin, n_bands=n_bands, n_fft=n_fft)
    return np.array([edge for edge, _ in bands])


@feature(units="dB, difference", rows=contrast_axis, row_unit="Hz", version=2)
def contrast(
    clip: Clip,
    *,
    fmin: Hertz = 200.0,
    n_bands: Degree = 6,
    quantile: Quantile = 0.02,
    framing: Framing,
) -> np.ndarray:
    """Spectral contrast: how far peaks rise above valleys, in seven bands, five of
    them octaves.

    Formula: 10 log10 (mean of the largest 2 % of bins) - 10 log10 (mean of the smallest
      2 %), band by band
    Changes with: tones against noise: high for a clear tone, low for rustling
    Ignores: loudness, pitch within a band
    Feature map: below 200 Hz at the bottom, then one row per octave, above 6.4 kHz at
      the top
    """
    magnitude = clip.magnitude(framing)
    n_fft = framing.n_fft
    bands = contrast_bands(clip.sample_rate, fmin=fmin, n_bands=n_bands, n_fft=n_fft)
    valleys = []
    peaks = []
    for k, (_, bins) in enumerate(bands):
        ordered = np.sort(magnitude[bins], axis=0)
        bins_of_librosa = len(ordered)
        if k < n_bands:
            bins_of_librosa += 1
        count = max(1, int(np.rint(quantile * bins_of_librosa)))
        smallest = ordered[:count]
        largest = ordered[: -count - 1 : -1]
        valleys.append(smallest.mean(axis=0))
        peaks.append(largest.mean(axis=0))
    peak_levels = kernels.spectrum.decibels(np.array(peaks))
    valley_levels = kernels.spectrum.decibels(np.array(valleys))
    return peak_levels - valley_levels


@feature(units="Hz", version=2)
def centroid(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral centroid: the centre of gravity of the spectrum, perceived as
    brightness.

    Formula: sum over k of f_k |STFT_k| / sum over k of |STFT_k|
    Changes with: the balance of bass and treble: hiss is high, rumble is low
    Ignores: loudness, pitch as such, how energy spreads about the centre
    Feature map: a curve in Hz; in pauses it shows the background
    """
    mean, _ = clip.mean_and_spread(framing)
    return mean[None]


@feature(units="Hz", version=2)
def bandwidth(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral bandwidth: the standard deviation of the spectrum about its centroid.

    Formula: sqrt(sum over k of (f_k - centroid)^2 |STFT_k| / sum over k of |STFT_k|)
    Changes with: how widely energy spreads: narrow for a whistle, wide for a crash
    Ignores: where the centre lies, loudness
    Feature map: a curve in Hz
    """
    _, spread = clip.mean_and_spread(framing)
    return spread[None]


@feature(units="Hz", version=2)
def rolloff(
    clip: Clip, *, roll_percent: Fraction = 0.85, framing: Framing
) -> np.ndarray:
    """Spectral rolloff: the frequency below which 85 % of the magnitude lies.

    Formula: the least f_k with sum up to k of |STFT| >= 0.85 of the whole
    Changes with: treble: breath, rain, hiss
    Ignores: loudness, detail below that frequency
    Feature map: a curve in Hz, in steps of a bin
    """
    frequency = frequency_axis(clip.sample_rate, n_fft=framing.n_fft)
    magnitude = clip.magnitude(framing)
    bins = kernels.spectrum.first_bin_reaching(magnitude, roll_percent)
    return frequency[bins][None]


@feature(units="ratio", version=2)
def flatness(clip: Clip, *, framing: Framing) -> np.ndarray:
    """Spectral flatness: noise against tone, from 0 to 1.

    Formula: the geometric mean of |STFT|^2 / its arithmetic mean
    Changes with: tonality: white noise near 0.6, a pure tone near 0; digital silence
      gives 1
    Ignores: loudness, pitch
    Feature map: a curve, low in tones and high in hiss and in silence
    """
    energy = np.maximum(np.float32(1e-10), clip.power(framing))
    weights = np.full((1, len(energy)), 1 / len(energy))
    mean_of_logarithms = kernels.spectrum.weighted_sums(weights, np.log(energy))
    geometric_mean = np.exp(mean_of_logarithms)
    arithmetic_mean = kernels.spectrum.weighted_sums(weights, energy)
    return geometric_mean / arithmetic_mean


@feature(units="amplitude", rows=power_axis, version=2)
def poly(clip: Clip, *, order: Degree = 1, framing: Framing) -> np.ndarray:
    """The straight line fitted to each frame's spectrum: its slope and its height at 0
    Hz.

    Formula: p_1 f + p_0 with the least sum over k of (|STFT_k| - p_1 f_k - p_0)^2
    Changes with: loudness and tilt, from bass to treble
    Ignores: every detail of the spectrum
    Feature map: row 0 is the slope, tiny and mostly negative; row 1 the height
    """
    frequency = frequency_axis(clip.sample_rate, n_fft=framing.n_fft)
    highest = frequency[-1]
    fit = np.linalg.pinv(np.vander(frequency / highest, order + 1))
    powers = highest ** np.arange(order, -1, -1)
    weights = np.ascontiguousarray(fit / powers[:, None])
    return kernels.spectrum.weighted_sums(weights, clip.magnitude(framing))


@feature(units="amplitude")
def rms(
    clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = HOP
) -> np.ndarray:
    """Root mean square: the level of each frame.

    Formula: sqrt(mean of x[n]^2 over the 2048 samples about the frame)
    Changes with: loudness, envelope: decay, pulsing, pauses
    Ignores: pitch and timbre altogether
    Feature map: a curve that follows the waveform's envelope
    """
    frames = kernels.fourier.centred_frames(clip.y, frame_length, hop_length)
    energy = np.einsum("ts,ts->t", frames, frames)
    level = np.sqrt(energy / frame_length)
    return level[None]


@feature(units="part of samples")
def zcr(
    clip: Clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = HOP
) -> np.ndarray:
    """Zero-crossing rate: how often the waveform changes sign.

    Formula: changes of sign among the 2048 samples about the frame / 2048
    Changes with: the dominant frequency: a tone of f Hz gives 2 f / sr, hiss a high
      rate
    Ignores: loudness; in pauses it shows the background
    Feature map: a curve, high in hiss and consonants, low in hums
    """
    padded = np.pad(clip.y, frame_length // 2, mode="edge")
    negative = padded < -1e-10  # librosa.zero_crossings takes smaller amplitudes for 0
    changes = negative[1:] != negative[:-1]
    crossings = np.concatenate([[0], np.cumsum(changes)])
    first = np.arange(0, len(padded) - frame_length + 1, hop_length)
    last = first + frame_length - 1
    in_frame = crossings[last] - crossings[first]
    return in_frame[None] / frame_length


@feature(units="ratio", rows=6)
def shape(clip: Clip, *, framing: Framing) -> np.ndarray:
    """The shape of each frame's spectrum in six numbers: skewness, kurtosis, entropy,
    crest, flux, decrease.

    Formula: third and fourth moment of f by p = |X| / sum |X|, in deviations, the
      fourth 60,000 at most; - sum p log p / log K; K max p; |u[t] - u[t - 1]|, u = X /
      |X|; sum (|X_k| - |X_0|) / k / sum |X_k|
    Changes with: tones against noise, bass against treble, how fast the spectrum
      changes
    Ignores: loudness; of silence all six are 0
    Feature map: six curves, each read by itself; kurtosis is large for a pure tone,
      entropy is 1 for hiss
    """
    magnitude = clip.magnitude(framing)
    bins = len(magnitude)
    x = np.linspace(0, 1, bins)
    k = np.arange(bins)
    weighted = np.maximum(magnitude, TINY)
    np.log(weighted, out=weighted)
    weighted *= magnitude
    sums = kernels.spectrum.weighted_sums
    ones = np.ones((1, bins))
    powers = np.vander(x, 5, increasing=True).T
    reciprocals = np.divide(1, k, out=0.0 * x, where=k > 0)
    weights = np.vstack([powers, reciprocals])
    total, *raw, falling = sums(weights, magnitude)
    silent = total < TINY
    total[silent] = 1
    first, second, third, fourth = np.array(raw) / total
    spread = np.sqrt(np.maximum(0, second - first**2))
    spread[spread < NARROW] = 1
    third_moment = third - 3 * first * second + 2 * first**3
    skewness = third_moment / spread**3
    fourth_moment = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    kurtosis = fourth_moment / spread**4
    (sum_of_weighted,) = sums(ones, weighted)
    entropy = (np.log(total) - sum_of_weighted / total) / np.log(bins)
    crest = bins * magnitude.max(axis=0) / total
    (energy,) = sums(ones, clip.power(framing))
    norm = np.sqrt(energy)
    norm = np.where(norm < TINY, 1, norm).astype(np.float32)
    direction = np.divide(magnitude, norm, out=weighted)
    change = direction[:, 1:] - direction[:, :-1]
    distance = np.sqrt(np.einsum("kt,kt->t", change, change))
    flux = np.append(0, distance)
    lowest = magnitude[0]
    above = total - lowest
    fall = falling - reciprocals.sum() * lowest
    decrease = fall / np.where(above < TINY, 1, above)
    kurtosis = np.minimum(kurtosis, MOST_KURTOSIS)
    numbers = np.array([skewness, kurtosis, entropy, crest, flux, decrease])
    return np.where(silent, 0, numbers)
