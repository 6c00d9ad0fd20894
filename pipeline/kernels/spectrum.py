"""Short-time Fourier transforms of whole clips.

librosa transforms in double precision and rounds the result to complex64. Single precision takes half the
time, and its error, 1e-7 of a frame's largest bin, drowns in the tolerance of mel, mfcc and chroma, which
use it. Features that look into nearly empty bins, magnify them or take differences need `exact`.
"""

import functools

import numpy as np
import scipy.fft

from pipeline.kernels.compiled import compiled

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
