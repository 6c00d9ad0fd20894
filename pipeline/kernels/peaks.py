"""Spectral peaks between the bins, as librosa's estimate of the tuning needs them."""

import warnings

import librosa
import numpy as np
from numba import njit

LOWEST, HIGHEST = 150.0, 4000.0  # Hz, where librosa.piptrack looks for pitches
THRESHOLD = np.float32(0.1)  # of the frame's largest value


def tuning(spectrogram: np.ndarray, sample_rate: int, n_fft: int, bins_per_octave: int) -> float:
    """Deviation from A440 in parts of a bin: `librosa.estimate_tuning(S=spectrogram)`.

    librosa interpolates between all bins, and then looks where the peaks are; here only peaks are.
    """
    frequency = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
    first = int(np.searchsorted(frequency, LOWEST))
    last = int(np.searchsorted(frequency, min(HIGHEST, sample_rate / 2)))
    loudest = THRESHOLD * spectrogram.max(axis=0)
    where, height = _peaks(spectrogram, loudest, max(first, 1), last)
    pitch = (where * sample_rate / n_fft).astype(np.float32)
    if not len(pitch):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return librosa.pitch_tuning(pitch[height >= np.median(height)], bins_per_octave=bins_per_octave)


@njit(cache=True)
def _peaks(
    spectrogram: np.ndarray, least: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Position in bins and height of each local maximum above `least`: `librosa.piptrack`.

    A parabola through three neighbours, in the precisions that librosa's compiled stencil has.
    """
    frames = spectrogram.shape[1]
    where = np.empty((last - first) * frames // 2 + frames)
    height = np.empty(where.size, np.float32)
    found = 0
    for k in range(first, last):
        for t in range(frames):
            here = spectrogram[k, t]
            if here > least[t] and here > spectrogram[k - 1, t] and here >= spectrogram[k + 1, t]:
                above, below = spectrogram[k + 1, t], spectrogram[k - 1, t]
                a = np.float64(above + below) - 2.0 * here
                b = np.float64(above - below) / 2.0
                shift = np.float32(0.0 if abs(b) >= abs(a) else -b / a)
                where[found] = k + np.float64(shift)
                height[found] = here + np.float32(0.5) * ((above - below) / np.float32(2)) * shift
                found += 1
    return where[:found], height[:found]
