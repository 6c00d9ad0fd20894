"""Filter banks for the spectrogram of a clip, sums over the bins of each frame, and
rounding to float16 for storage.
"""

# mypy: allow-untyped-defs

import dataclasses
import functools

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from featurestack.pipeline.kernels import compiled
from featurestack.pipeline.parameters import (
    Bands,
    MelBank,
    erb_axis,
    frequency_axis,
    linear_edges,
    mel_edges,
)

LARGEST = np.float32(65504)  # the largest float16
SMALLEST_NORMAL = np.float32(2.0**-14)  # below, float16 counts in steps of 2 ** -24
STEPS = np.float32(2.0**24)
# bias of float32's exponent minus that of float16's
REBASED = np.uint32((127 - 15) << 23)
DROPPED = np.uint32(13)  # binary digits by which float16 is shorter than float32


def decibels(power: np.ndarray) -> np.ndarray:
    """`librosa.power_to_db(power)`, with one array of that size; librosa makes six."""
    levels = np.maximum(power, np.float32(1e-10))
    np.log(levels, out=levels)
    levels *= np.float32(10 / np.log(10))
    return np.maximum(levels, levels.max() - 80, out=levels)


def cepstrum(levels: np.ndarray, count: int) -> np.ndarray:
    """(count, frames): the first coefficients of an orthonormal DCT-II over bands."""
    coefficients = scipy.fft.dct(levels, axis=0, norm="ortho")
    return coefficients[:count]


@functools.lru_cache(maxsize=64)
def mel_filters(sample_rate: int, n_fft: int, bank: MelBank) -> scipy.sparse.csr_array:
    """(n_mels, bins): `librosa.filters.mel`, empty bands included."""
    edges = mel_edges(sample_rate, **dataclasses.asdict(bank))
    filters = _triangles(edges, sample_rate, n_fft)
    area_one = 2 / (edges[2:] - edges[:-2])
    filters *= area_one[:, None]
    return scipy.sparse.csr_array(filters)


@functools.lru_cache(maxsize=64)
def linear_filters(sample_rate: int, n_fft: int, bank: Bands) -> scipy.sparse.csr_array:
    """(n_bands, bins): triangles of height 1, evenly spaced in Hz."""
    edges = linear_edges(sample_rate, **dataclasses.asdict(bank))
    filters = _triangles(edges, sample_rate, n_fft)
    return scipy.sparse.csr_array(filters)


def _triangles(edges: np.ndarray, sample_rate: int, n_fft: int) -> np.ndarray:
    """(bands, bins) float32: band k is 0, 1, 0 at the edges k, k + 1, k + 2."""
    frequency = frequency_axis(sample_rate, n_fft=n_fft)
    ramps = np.subtract.outer(edges, frequency)
    width = np.diff(edges)[:, None]
    rising = -ramps[:-2] / width[:-1]
    falling = ramps[2:] / width[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles.astype(np.float32)


@functools.lru_cache(maxsize=64)
def gammatone_filters(sample_rate: int, n_fft: int, bank: Bands) -> np.ndarray:
    """(n_bands, bins): fourth-order gammatone magnitude responses."""
    centre = erb_axis(sample_rate, **dataclasses.asdict(bank))
    centre = centre[:, None]
    width = 1.019 * 24.7 * (1 + 0.00437 * centre)
    frequency = frequency_axis(sample_rate, n_fft=n_fft)
    distance = (frequency - centre) / width
    response = (1 + distance**2) ** -2
    return response.astype(np.float32)


@functools.lru_cache(maxsize=256)
def chroma_filters(sample_rate: int, n_fft: int, tuning: float) -> np.ndarray:
    """(12, bins): `librosa.filters.chroma` at one of a hundred tunings."""
    frequency = np.linspace(0, sample_rate, n_fft, endpoint=False)
    frequency = frequency[1:]
    lowest = 440 * 2 ** (tuning / 12) / 16
    octaves = np.log2(frequency / lowest)
    # pitch of each bin in semitones, for bin 0 as librosa defines it
    pitch = np.append(12 * octaves[0] - 18, 12 * octaves)
    pitch_class = np.arange(12.0)[:, None]
    # semitones from the class, -6 to 6
    distance = np.remainder(pitch - pitch_class + 126, 12) - 6
    to_next = np.maximum(np.diff(pitch), 1)
    width = np.append(to_next, 1)
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    # the fifth octave counts most
    emphasis = np.exp(-0.5 * ((pitch / 12 - 5) / 2) ** 2)
    filters = normalised(bumps, 2) * emphasis
    from_c = np.roll(filters, -3, axis=0)
    bins = 1 + n_fft // 2
    return np.ascontiguousarray(from_c[:, :bins], np.float32)


def fold_octaves(magnitude: np.ndarray, bins: int) -> np.ndarray:
    """(12, frames) sums over octaves, by `librosa.filters.cq_to_chroma`."""
    each = np.eye(12, dtype=np.float32)
    classes = np.repeat(each, bins, axis=1)
    classes = np.roll(classes, -(bins // 2), axis=1)
    octaves = len(magnitude) // classes.shape[1]
    filters = np.tile(classes, octaves)
    return np.einsum("cf,ft->ct", filters, magnitude, optimize=True)


def normalised(values: np.ndarray, order: float = np.inf) -> np.ndarray:
    """`librosa.util.normalize(values, norm=order)`."""
    norm = np.linalg.norm(values.astype(float), order, axis=0)
    tiny = norm < np.finfo(values.dtype).tiny
    quotient = values / np.where(tiny, 1, norm)
    return quotient.astype(values.dtype)


@compiled
def weighted_sums(weights, spectrogram):
    """(n, frames): `weights @ spectrogram.astype(float)`, in the order of the bins."""
    bins, frames = spectrogram.shape
    sums = np.zeros((len(weights), frames))
    for row in range(len(weights)):
        for k in range(bins):
            weight = weights[row, k]
            for t in range(frames):
                sums[row, t] += weight * spectrogram[k, t]
    return sums


@compiled
def first_bin_reaching(spectrogram, part):
    """(frames,) the first bin whose running sum, in float32, is `part` of the whole."""
    bins, frames = spectrogram.shape
    total = np.zeros(frames, np.float32)
    for k in range(bins):
        for t in range(frames):
            total[t] += spectrogram[k, t]
    least = total * np.float32(part)
    running = np.zeros(frames, np.float32)
    below = np.zeros(frames, np.int64)
    for k in range(bins):
        for t in range(frames):
            running[t] += spectrogram[k, t]
            below[t] += running[t] < least[t]
    return below


def to_float16(values: NDArray) -> NDArray[np.float16] | None:
    """`values.astype(np.float16)`; None if a value is not finite or does not fit. For
    all features of a clip this takes 1 ms, numpy 8 ms.
    """
    flat = values.ravel()
    bits = np.empty(len(flat), np.uint16)
    # a value that is too large becomes infinite, which `_cast` refuses
    with np.errstate(over="ignore"):
        single = flat.astype(np.float32, copy=False)
    if single is not flat:
        _to_odd(flat, single, single.view(np.uint32))
    if not _cast(single, single.view(np.uint32), bits):
        return None
    return bits.view(np.float16).reshape(values.shape)


@compiled
def _to_odd(values, single, bits):
    """Make the last digit odd if digits were lost, so that rounding twice is exact."""
    for i in range(len(values)):
        rounded = abs(np.float64(single[i]))
        exact = abs(values[i])
        last_digit = bits[i] & np.uint32(1)
        even = np.uint32(1) - last_digit
        up = even * np.uint32(rounded < exact)
        down = even * np.uint32(rounded > exact)
        bits[i] += up - down


@compiled
def _cast(values, bits, halves):
    """Write the bits of float16 values without a branch; return whether all fit."""
    fits = True
    for i in range(len(values)):
        size = abs(values[i])
        fits &= size <= LARGEST
        digits = bits[i] & np.uint32(0x7FFFFFFF)
        # a value halfway between two goes to the even one
        even = (digits >> DROPPED) & np.uint32(1)
        rounded = digits - REBASED + np.uint32(0xFFF) + even
        normal = rounded >> DROPPED
        steps = np.rint(min(size, SMALLEST_NORMAL) * STEPS)
        small = np.uint32(np.int32(steps))
        magnitude = small if size < SMALLEST_NORMAL else normal
        sign = (bits[i] >> np.uint32(16)) & np.uint32(0x8000)
        halves[i] = np.uint16(sign | magnitude)
    return fits
