"""YAMNet's spectrogram in float by its definition (tensorflow/models, audioset).

The file of a network for TensorFlow Lite may compute it by matrices of 8 bits, which
keep 40 to 48 dB of a frame. The reviewed conversion's bands equal these to half a step.
"""

import functools

import numpy as np
import scipy
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
FRAME, HOP, N_FFT = 400, 160, 512
BANDS = 64
LOWEST, HIGHEST = 125.0, 7_500.0  # Hz, where the first band begins and the last ends
FLOOR = 0.001


def log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(windows, frames, BANDS) of windows (windows, samples) at SAMPLE_RATE."""
    frames = np.lib.stride_tricks.sliding_window_view(windows, FRAME, axis=1)[:, ::HOP]
    n = np.arange(FRAME)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * n / FRAME)).astype(np.float32)
    magnitudes = np.abs(scipy.fft.rfft(frames * hann, N_FFT))
    return np.log(magnitudes @ bands() + np.float32(FLOOR))


@functools.cache
def bands() -> NDArray[np.float32]:
    """(N_FFT // 2 + 1, BANDS) triangles, evenly spaced on the mel scale of HTK."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)[:, None]
    position = _mel(frequencies)
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (position - low) / (centre - low)
    falling = (high - position) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights.astype(np.float32)


def _mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127 * np.log1p(np.asarray(hertz) / 700)
