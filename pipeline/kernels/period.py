"""Periodicity: the period of each frame (YIN), tempograms at multiples of a tempo."""

# mypy: allow-untyped-defs

import numpy as np

from featurestack.pipeline.kernels import compiled, inlined
from featurestack.pipeline.kernels.fourier import autocorrelation

TINY = np.finfo(float).tiny
# frames processed at a time: their differences stay in the second-level cache
BLOCK = 64
DEEP = 0.1  # a trough of the difference below this counts as periodic


def yin(
    y: np.ndarray,
    frame_length: int,
    hop_length: int,
    shortest: int,
    longest: int,
) -> np.ndarray:
    """(frames,) period in samples; the rate divided by it is `librosa.yin`."""
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
    """Interpolated position of the first trough below DEEP, else of the least."""
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


def at_multiples_of_tempo(
    tempogram: np.ndarray, sample_rate: int, hop_length: int, multiples: np.ndarray
) -> np.ndarray:
    """(multiples, frames): `librosa.feature.tempogram_ratio` of a tempogram (lags,
    frames). Tempo is `librosa.feature.tempo(aggregate=None)`, by products.
    """
    lags, frames = tempogram.shape
    tempo = 60 * sample_rate / (hop_length * np.arange(1.0, lags))
    tempo = np.append(np.inf, tempo)
    octaves = np.log2(tempo) - np.log2(120.0)
    prior = np.exp(-0.5 * octaves**2)
    slowest = int(np.argmax(tempo < 320.0))
    strength = 1 + 1e6 * tempogram[slowest:]
    likely = np.argmax(strength * prior[slowest:, None], axis=0)
    wanted = multiples[:, None] * tempo[slowest + likely]
    rising = tempo[:0:-1]  # without lag 0, whose tempo is infinite
    right = np.searchsorted(rising, wanted)
    right = np.clip(right, 1, len(rising) - 1)
    left = right - 1
    frame = np.arange(frames)
    low = tempogram[lags - 1 - left, frame]
    high = tempogram[lags - 1 - right, frame]
    slope = (high - low) / (rising[right] - rising[left])
    between = low + slope * (wanted - rising[left])
    outside = (wanted < rising[0]) | (wanted > rising[-1])
    return np.where(outside, 0.0, between)
