"""Pitch: filter banks of constant-Q and variable-Q transforms, the tuning that they
follow, and the period of each frame (YIN).

As in librosa, the sample rate is halved after each octave, from the highest down, so
that the wavelets of every octave are short. Counted in samples, all octaves of a
constant-Q bank have the same wavelets, which are built once.
"""

# mypy: allow-untyped-defs

import functools
import math
from dataclasses import dataclass

import numpy as np
import scipy

from featurestack.pipeline.kernels import compiled, inlined
from featurestack.pipeline.kernels.fourier import autocorrelation, transforms
from featurestack.pipeline.parameters import Bank

# share of a wavelet spectrum's magnitude that is set to 0, the weakest bins first
LEFT_OUT = 0.01
LOWEST, HIGHEST = 150.0, 4000.0  # Hz, where librosa.piptrack looks for pitches
PEAK_THRESHOLD = np.float32(0.1)  # share of the frame's largest value
BARS = 100  # bars of the histogram in librosa.pitch_tuning
TINY = np.finfo(float).tiny
# frames processed at a time, so that their differences fit the second-level cache
BLOCK = 64
DEEP = 0.1  # a trough of the difference below this counts as periodic


@dataclass(frozen=True)
class _Octave:
    """The wavelets of one octave, for a signal at a rate halved `halvings` times."""

    halvings: int  # how often the first octave's rate is halved
    hop_length: int  # in samples of the halved signal
    n_fft: int
    bins: slice  # bins of the spectrum; beyond them all wavelets are 0
    filters: scipy.sparse.csr_array  # (wavelets, bins) complex64
    norm: np.ndarray  # (wavelets,) divisors of the responses

    def response(self, y: np.ndarray) -> np.ndarray:
        """(wavelets, frames) magnitudes for the halved signal `y`."""
        rectangle = np.ones(self.n_fft)
        spectrum = transforms(y, self.hop_length, rectangle, self.bins)
        sparse = self.filters.indptr, self.filters.indices, self.filters.data
        return _magnitudes_of_products(*sparse, spectrum, self.norm)


@compiled
def _magnitudes_of_products(starts, bins, weights, spectrum, norm):
    """`abs(filters @ spectrum) / norm[:, None]` with sparse filters."""
    wavelets = len(norm)
    frames = spectrum.shape[2]
    result = np.empty((wavelets, frames), np.float32)
    for row in range(wavelets):
        re = np.zeros(frames, np.float32)
        im = np.zeros(frames, np.float32)
        for place in range(starts[row], starts[row + 1]):
            w = weights[place]
            x = spectrum[0, bins[place]]
            y = spectrum[1, bins[place]]
            for t in range(frames):
                re[t] += w.real * x[t] - w.imag * y[t]
                im[t] += w.real * y[t] + w.imag * x[t]
        for t in range(frames):
            power = np.float64(re[t]) ** 2 + np.float64(im[t]) ** 2
            result[row, t] = np.sqrt(power) / norm[row]
    return result


@functools.lru_cache(maxsize=512)
def octaves(bank: Bank, sample_rate: int) -> tuple[int, list[_Octave]]:
    """The halvings that librosa makes beforehand, and the octaves, highest first."""
    frequency = bank.frequencies()
    beforehand = bank.halvings_beforehand(sample_rate)
    alpha, gamma = bank.bandwidths(frequency)
    seconds = bank.filter_scale / alpha / (frequency + gamma / alpha)
    rate = sample_rate / 2**beforehand
    hop = bank.hop_length // 2**beforehand
    halvings = 0
    octaves = []
    for octave in range(math.ceil(bank.n_bins / bank.bins_per_octave)):
        stop = bank.n_bins - octave * bank.bins_per_octave
        start = max(0, stop - bank.bins_per_octave)
        rows = slice(start, stop)
        cycles = _key(frequency[rows] / rate, 13)
        samples = _key(seconds[rows] * rate, 8)
        n_fft, bins, filters = _filters(cycles, samples)
        # makes up for the weaker response of half as many samples
        louder = filters * np.sqrt(2.0**halvings)
        louder = louder.astype(np.complex64)
        norm = np.sqrt(seconds[rows] * sample_rate / 2**beforehand)
        octaves.append(_Octave(halvings, hop, n_fft, bins, louder, norm))
        if hop % 2 == 0:
            rate = rate / 2
            hop = hop // 2
            halvings = halvings + 1
    return beforehand, octaves


def _key(values: np.ndarray, digits: int) -> tuple[float, ...]:
    """Rounded values, so that octaves that differ only by rounding have one key."""
    return tuple(np.round(values, digits))


@functools.lru_cache(maxsize=1024)
def _filters(
    frequency: tuple[float, ...], length: tuple[float, ...]
) -> tuple[int, slice, scipy.sparse.csr_array]:
    """n_fft, the bins at which some wavelet is not 0, and the wavelets' spectra there.
    They are rounded to complex64 where `librosa.filters.wavelet` and
    `librosa.util.sparsify_rows` are, which decides the response to strong partials.
    """
    n_fft = int(2.0 ** np.ceil(np.log2(max(length))))
    pairs = zip(frequency, length, strict=True)
    basis = np.array([_wavelet(f, samples, n_fft) for f, samples in pairs])
    basis = basis.astype(np.complex64)
    scale = np.array(length) / n_fft
    scaled = basis * scale[:, None]
    spectra = scipy.fft.fft(scaled.astype(np.complex64), axis=1)
    spectra = spectra[:, : n_fft // 2 + 1]
    magnitude = np.abs(spectra)
    ordered = np.sort(magnitude, axis=1)
    shares = ordered / magnitude.sum(axis=1, keepdims=True)
    weak = np.cumsum(shares, axis=1) < LEFT_OUT
    first_kept = np.argmin(weak, axis=1)
    least = np.take_along_axis(ordered, first_kept[:, None], axis=1)
    spectra[magnitude < least] = 0
    needed = np.flatnonzero(spectra.any(axis=0))
    first = int(needed[0])
    last = int(needed[-1])
    bins = slice(first, last + 1)
    return n_fft, bins, scipy.sparse.csr_array(spectra[:, bins])


def _wavelet(frequency: float, length: float, n_fft: int) -> np.ndarray:
    """A tone under a Hann window of sum 1, in the middle of n_fft samples."""
    time = np.arange(-length // 2, length // 2)
    tone = np.exp(2j * np.pi * frequency * time)
    wavelet = tone * scipy.signal.get_window("hann", len(time))
    normed = wavelet / np.abs(wavelet).sum()
    padding = n_fft - len(time)
    left = padding // 2
    return np.pad(normed, (left, padding - left))


def estimate_tuning(
    spectrogram: np.ndarray, sample_rate: int, n_fft: int, bins_per_octave: int
) -> float:
    """Deviation from A440 in bins: `librosa.estimate_tuning(S=spectrogram)`."""
    frequency = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    first = int(np.searchsorted(frequency, LOWEST))
    last = int(np.searchsorted(frequency, min(HIGHEST, sample_rate / 2)))
    least = PEAK_THRESHOLD * spectrogram.max(axis=0)
    where, height = _peaks(spectrogram, least, max(first, 1), last)
    if not len(where):
        return 0.0
    high = where[height >= np.median(height)]
    pitch = high * sample_rate / n_fft
    pitch = pitch.astype(np.float32)
    octaves = np.log2(pitch / (440 / 16))
    residual = np.mod(bins_per_octave * octaves, 1.0)
    residual[residual >= 0.5] -= 1.0
    bars = np.linspace(-0.5, 0.5, BARS + 1)
    counts, edges = np.histogram(residual, bars)
    return float(edges[np.argmax(counts)])


@compiled
def _peaks(spectrogram, least, first, last):
    """The position in bins and the height of each local maximum above `least`, as in
    `librosa.piptrack`, in the precisions of its compiled stencil.
    """
    frames = spectrogram.shape[1]
    where = np.empty((last - first) * frames // 2 + frames)
    height = np.empty(where.size, np.float32)
    peaks = 0
    for k in range(first, last):
        for t in range(frames):
            here = spectrogram[k, t]
            if (
                here > least[t]
                and here > spectrogram[k - 1, t]
                and here >= spectrogram[k + 1, t]
            ):
                above = spectrogram[k + 1, t]
                below = spectrogram[k - 1, t]
                a = np.float64(above + below) - 2.0 * here
                b = np.float64(above - below) / 2.0
                shift = np.float32(0.0 if abs(b) >= abs(a) else -b / a)
                slope = (above - below) / np.float32(2)
                where[peaks] = k + np.float64(shift)
                height[peaks] = here + np.float32(0.5) * slope * shift
                peaks += 1
    return where[:peaks], height[:peaks]


def yin(
    y: np.ndarray, frame_length: int, hop_length: int, shortest: int, longest: int
) -> np.ndarray:
    """(frames,) periods in samples; the rate divided by them is `librosa.yin`."""
    window = np.ones(frame_length, np.float32)
    correlation = autocorrelation(y, hop_length, window, longest + 1)
    return _yin(y, hop_length, correlation, shortest)


@compiled
def _yin(y, hop_length, correlation, shortest):
    """(frames,) periods at the trough of the cumulative mean normalised difference,
    with float32 sums in librosa's order: rounding decides between minima.
    """
    longest = len(correlation) - 1
    frames = correlation.shape[1]
    period = np.empty(frames)
    difference = np.empty((longest - shortest + 1, BLOCK))
    for first in range(0, frames, BLOCK):
        count = min(BLOCK, frames - first)
        level = correlation[0, first : first + count]
        energy = np.zeros(count, np.float32)
        total = np.zeros(count, np.float32)
        for lag in range(1, longest + 1):
            samples = y[first * hop_length + lag - 1 :]
            here = correlation[lag, first : first + count]
            for i in range(count):
                energy[i] += samples[i * hop_length] ** 2
            for i in range(count):
                louder = energy[i] if lag > 1 else np.float32(0)
                total[i] += np.float32(2) * (level[i] - here[i]) - louder
            if lag >= shortest:
                row = difference[lag - shortest]
                for i in range(count):
                    value = np.float32(2) * (level[i] - here[i]) - energy[i]
                    sum_so_far = np.float64(total[i]) + TINY
                    row[i] = value * np.float64(lag) / sum_so_far
        for i in range(count):
            period[first + i] = shortest + _trough(difference[:, i])
    return period


@inlined
def _trough(difference):
    """The interpolated position of the first trough below DEEP, else of the minimum."""
    last = len(difference) - 1
    chosen = -1
    for k in range(last + 1):
        falls = k == 0 or difference[k] < difference[k - 1]
        if difference[k] < DEEP and falls:
            flat = k > 0 and k < last and difference[k] == difference[k + 1]
            rises = k == last or difference[k] < difference[k + 1]
            if rises or flat:
                chosen = k
                break
    if chosen < 0:
        chosen = int(np.argmin(difference))
    if chosen == 0 or chosen == last:
        return float(chosen)
    above = difference[chosen + 1]
    here = difference[chosen]
    below = difference[chosen - 1]
    a = above + below - 2 * here
    b = (above - below) / 2
    if abs(b) >= abs(a):
        return float(chosen)
    return chosen - b / a
