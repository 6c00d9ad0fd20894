"""Short-time Fourier transforms of whole clips, filter banks over them, and sums over the bins of each frame.

librosa transforms in double precision and rounds the result to complex64. Single precision takes half the
time, and its error, 1e-7 of a frame's largest bin, drowns in the tolerance of mel, mfcc and chroma, which
use it. Features that look into nearly empty bins, magnify them or take differences need `exact`.
"""

import dataclasses
import functools
import warnings

import librosa
import numpy as np
import scipy.fft
import scipy.sparse

from pipeline.kernels import compiled
from pipeline.parameters import MelBank

BLOCK = 32  # frames that are transformed at a time, so that they stay in the second-level cache
TILE = 16  # bins that are turned round at a time


def magnitudes(
    y: np.ndarray, n_fft: int, hop_length: int, win_length: int | None = None, exact: bool = True
) -> np.ndarray:
    """(1 + n_fft/2, frames) float32: `abs(librosa.stft(y))`."""
    frames = centred_frames(y, n_fft, hop_length)
    window = _hann(win_length or n_fft, n_fft).astype(float if exact else np.float32)
    result = np.empty((1 + n_fft // 2, len(frames)), np.float32)
    for first in range(0, len(frames), BLOCK):
        spectrum = scipy.fft.rfft(frames[first : first + BLOCK] * window, overwrite_x=True)
        _turn(np.abs(spectrum.astype(np.complex64, copy=False)), result[:, first : first + BLOCK])
    return result


@compiled
def _turn(block: np.ndarray, result: np.ndarray) -> None:
    """`result[:] = block.T`, in small tiles for the sake of the caches."""
    for corner in range(0, block.shape[1], TILE):
        for k in range(corner, min(corner + TILE, block.shape[1])):
            for t in range(block.shape[0]):
                result[k, t] = block[t, k]


def transforms(y: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """(frames, 1 + n_fft/2) complex64, exact: `librosa.stft(y, window="ones")`, turned round."""
    frames = centred_frames(y, n_fft, hop_length)
    result = np.empty((len(frames), 1 + n_fft // 2), np.complex64)
    for first in range(0, len(frames), BLOCK):
        result[first : first + BLOCK] = scipy.fft.rfft(frames[first : first + BLOCK].astype(float))
    return result


def centred_frames(y: np.ndarray, frame_length: int, hop_length: int, mode: str = "constant") -> np.ndarray:
    """(frames, frame_length) view of `y`, padded by half a frame at both ends: `librosa.util.frame`."""
    padded = np.pad(y, frame_length // 2, mode=mode)  # type: ignore[call-overload]
    return np.lib.stride_tricks.sliding_window_view(padded, frame_length)[::hop_length]


@functools.lru_cache(maxsize=64)
def _hann(length: int, n_fft: int) -> np.ndarray:
    """A window of `length` in the middle of n_fft samples: `librosa.util.pad_center`."""
    left = (n_fft - length) // 2
    return np.pad(scipy.signal.get_window("hann", length), (left, n_fft - length - left))


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
