"""Sums over the bins of each frame."""

import numpy as np

from pipeline.kernels.compiled import compiled

LANES = 128  # frames that are done at a time, so that what is kept of them stays in the first-level cache


@compiled
def weighted_sums(weights: np.ndarray, spectrogram: np.ndarray) -> np.ndarray:
    """(n, frames): `weights @ spectrogram.astype(float)` without the copy; weights are (n, bins) float64."""
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


@compiled
def extremes(band: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(frames,), (frames,): the mean of the `count` smallest and largest values of each frame.

    `np.sort(band, axis=0)` and the mean of its first and last rows, as in
    `librosa.feature.spectral_contrast`, but only so many values are kept in order.
    """
    bins, frames = band.shape
    low, high = np.empty(frames, np.float32), np.empty(frames, np.float32)
    value = np.zeros(LANES, np.float32)
    for first in range(0, frames, LANES):
        lanes = min(LANES, frames - first)
        lowest = np.full((count, LANES), np.inf, np.float32)
        highest = np.full((count, LANES), np.inf, np.float32)
        for k in range(bins):
            value[:lanes] = band[k, first : first + lanes]
            _keep_lowest(lowest, value)
            value[:lanes] = -band[k, first : first + lanes]
            _keep_lowest(highest, value)
        low[first : first + lanes] = lowest.sum(axis=0)[:lanes] / np.float32(count)
        high[first : first + lanes] = -highest.sum(axis=0)[:lanes] / np.float32(count)
    return low, high


@compiled
def _keep_lowest(kept: np.ndarray, value: np.ndarray) -> None:
    """Insert a value a lane into its ordered column of `kept`; the largest falls out. No branches."""
    for i in range(len(kept)):
        for t in range(LANES):
            new, old = value[t], kept[i, t]
            kept[i, t] = new if new < old else old
            value[t] = old if new < old else new
