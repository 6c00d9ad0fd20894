"""Spectral peaks between the bins, and the tuning that they agree on."""

import librosa
import numpy as np

from pipeline.kernels.compiled import compiled

LOWEST, HIGHEST = 150.0, 4000.0  # Hz, where librosa.piptrack looks for pitches
THRESHOLD = np.float32(0.1)  # of the frame's largest value
BARS = 100  # of the histogram in librosa.pitch_tuning
DOUBT = 1e-5  # of a bin: how far single precision moves a peak, with a margin


def tuning(spectrogram: np.ndarray, sample_rate: int, n_fft: int, bins_per_octave: int) -> tuple[float, bool]:
    """Deviation from A440 in parts of a bin: `librosa.estimate_tuning(S=spectrogram)`; and is it sure?

    librosa interpolates between all bins, and then looks where the peaks are; here only peaks are. The
    tuning is the fullest bar of a histogram. It is sure where peaks which lie so close to the edge of a bar
    that single precision may put them on its other side could not change which bar that is.
    """
    frequency = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
    first = int(np.searchsorted(frequency, LOWEST))
    last = int(np.searchsorted(frequency, min(HIGHEST, sample_rate / 2)))
    where, height = _peaks(spectrogram, THRESHOLD * spectrogram.max(axis=0), max(first, 1), last)
    if not len(where):
        return 0.0, True
    where = where[height >= np.median(height)]
    pitch = (where * sample_rate / n_fft).astype(np.float32)
    residual = np.mod(bins_per_octave * librosa.hz_to_octs(pitch), 1.0)
    residual[residual >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, BARS + 1)
    peaks = np.histogram(residual, edges)[0]
    return float(edges[np.argmax(peaks)]), _is_sure(peaks, residual, DOUBT * bins_per_octave / where)


def _is_sure(peaks: np.ndarray, residual: np.ndarray, doubt: np.ndarray) -> bool:
    """Would the fullest bar stay so if each peak moved by its doubt? (A bin is 1.4 of an octave / where.)"""
    place = (residual + 0.5) * BARS
    below, above = np.floor(place - 2 * BARS * doubt), np.floor(place + 2 * BARS * doubt)
    moving = np.concatenate([below[below != above], above[below != above]]).astype(int) % BARS
    doubtful = np.bincount(moving, minlength=BARS)
    fullest = np.argmax(peaks)
    most = peaks + doubtful
    most[fullest] = 0
    least = peaks[fullest] - doubtful[fullest]
    return not np.any((most >= least) & (doubtful + doubtful[fullest] > 0))


@compiled
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
