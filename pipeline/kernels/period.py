"""What repeats: autocorrelation, the period of each frame (YIN), and the tempo."""

import librosa
import numpy as np
import scipy.fft

from pipeline.kernels import compiled

TINY = np.finfo(float).tiny
DEEP = 0.1  # a trough of the difference below this counts as periodic
BLOCK = 32  # frames that are done at a time, so that they stay in the second-level cache


def autocorrelation(frames: np.ndarray, lags: int) -> np.ndarray:
    """(frames, lags): `librosa.autocorrelate(frames, max_size=lags, axis=1)`.

    Padded only as far as these lags need, which is less than for all of them.
    """
    size = scipy.fft.next_fast_len(frames.shape[1] + lags - 1, real=True)
    spectrum = scipy.fft.rfft(frames, size)
    return scipy.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, :lags]


def yin(frames: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """(frames,) period in samples, from `shortest` to `longest`: what `librosa.yin` divides the rate by."""
    period = np.empty(len(frames))
    for first in range(0, len(frames), BLOCK):
        block = np.ascontiguousarray(frames[first : first + BLOCK])
        _yin(block, autocorrelation(block, longest + 1), shortest, period[first : first + BLOCK])
    return period


@compiled
def _yin(frames: np.ndarray, correlation: np.ndarray, shortest: int, period: np.ndarray) -> None:
    """The cumulative mean normalised difference of each frame, and the period where it is least.

    Sums are float32 and in librosa's order, quotients double, as there: a least value is picked.
    """
    longest = correlation.shape[1] - 1
    difference = np.empty(longest - shortest + 1)
    for t in range(len(frames)):
        energy, total = np.float32(0), np.float32(0)
        for lag in range(1, longest + 1):
            energy += frames[t, lag - 1] * frames[t, lag - 1]
            head = energy if lag > 1 else np.float32(0)
            value = np.float32(2) * (correlation[t, 0] - correlation[t, lag]) - head
            total += value
            if lag >= shortest:
                difference[lag - shortest] = value / (np.float64(total) / lag + TINY)
        period[t] = shortest + _trough(difference)


@compiled
def _trough(difference: np.ndarray) -> float:
    """Position of the first trough below DEEP, else of the least value, between the samples."""
    last = len(difference) - 1
    chosen = int(np.argmin(difference))
    for k in range(last + 1):
        falls = k == 0 or difference[k] < difference[k - 1]
        rises = (
            k == last or difference[k] < difference[k + 1] or (k > 0 and difference[k] == difference[k + 1])
        )
        if falls and rises and difference[k] < DEEP:
            chosen = k
            break
    if chosen == 0 or chosen == last:
        return float(chosen)
    above, here, below = difference[chosen + 1], difference[chosen], difference[chosen - 1]
    a, b = above + below - 2 * here, (above - below) / 2
    return float(chosen) if abs(b) >= abs(a) else chosen - b / a


def at_multiples_of_tempo(
    tempogram: np.ndarray, sample_rate: int, hop_length: int, multiples: np.ndarray
) -> np.ndarray:
    """(multiples, frames) of a tempogram (frames, lags): `librosa.feature.tempogram_ratio`.

    librosa makes an interpolator a frame; here all frames are looked up at once. What lies outside the
    tempogram is 0.
    """
    tempo = librosa.tempo_frequencies(tempogram.shape[1], hop_length=hop_length, sr=sample_rate)
    wanted = multiples[:, None] * tempo[_strongest(tempogram, tempo)]
    rising = tempo[:0:-1]  # without lag 0, whose tempo is infinite
    right = np.clip(np.searchsorted(rising, wanted), 1, len(rising) - 1)
    left = right - 1
    lag = tempogram.shape[1] - 1 - np.stack([left, right])
    frame = np.arange(len(tempogram))
    low, high = tempogram[frame, lag[0]], tempogram[frame, lag[1]]
    between = low + (high - low) / (rising[right] - rising[left]) * (wanted - rising[left])
    return np.where((wanted < rising[0]) | (wanted > rising[-1]), 0.0, between)


def _strongest(tempogram: np.ndarray, tempo: np.ndarray) -> np.ndarray:
    """(frames,) the lag of each frame's tempo, 120 BPM preferred: `librosa.feature.tempo(aggregate=None)`."""
    with np.errstate(divide="ignore"):
        prior = -0.5 * (np.log2(tempo) - np.log2(120.0)) ** 2
    prior[: int(np.argmax(tempo < 320.0))] = -np.inf
    return np.argmax(np.log1p(1e6 * tempogram) + prior, axis=1)
