"""Filter banks over the spectrogram of a clip, and sums over the bins of each frame."""

import dataclasses
import functools
import warnings

import librosa
import numpy as np
import scipy.sparse

from pipeline.kernels import compiled
from pipeline.parameters import MelBank


def decibels(power: np.ndarray) -> np.ndarray:
    """`librosa.power_to_db(power)`, with one array of that size where librosa makes six."""
    levels = np.maximum(power, np.float32(1e-10))
    np.log(levels, out=levels)
    levels *= np.float32(10 / np.log(10))
    return np.maximum(levels, levels.max() - 80, out=levels)


def mel_bands(spectrogram: np.ndarray, sample_rate: int, bank: MelBank) -> np.ndarray:
    """(n_mels, frames): `librosa.feature.melspectrogram(S=spectrogram)`, as a sparse product."""
    return _mel_filters(sample_rate, 2 * (len(spectrogram) - 1), bank) @ spectrogram


@functools.lru_cache(maxsize=64)
def _mel_filters(sample_rate: int, n_fft: int, bank: MelBank) -> scipy.sparse.csr_array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bands narrower than a bin: they are empty in librosa too
        filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, **dataclasses.asdict(bank))
    return scipy.sparse.csr_array(filters)


@functools.lru_cache(maxsize=256)
def chroma_filters(sample_rate: int, n_fft: int, tuning: float) -> np.ndarray:
    """(12, bins): `librosa.filters.chroma`, kept for each of the hundred tunings that are estimated."""
    return librosa.filters.chroma(sr=sample_rate, n_fft=n_fft, tuning=tuning)


@compiled
def weighted_sums(weights: np.ndarray, spectrogram: np.ndarray) -> np.ndarray:
    """(n, frames): `weights @ spectrogram.astype(float)` without the copy; weights are (n, bins) float64.

    In the order of the bins, so that the sums do not depend on the processor's BLAS.
    """
    bins, frames = spectrogram.shape
    sums = np.zeros((len(weights), frames))
    for row in range(len(weights)):
        for k in range(bins):
            weight = weights[row, k]
            for t in range(frames):
                sums[row, t] += weight * spectrogram[k, t]
    return sums


@compiled
def first_bin_reaching(spectrogram: np.ndarray, part: float) -> np.ndarray:
    """(frames,) the first bin at which the running sum reaches `part` of the whole.

    Summed in float32 from the lowest bin up, as `np.cumsum` in `librosa.feature.spectral_rolloff`.
    """
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
