"""The harmonic and the percussive part of a spectrogram."""

import numpy as np

from pipeline.kernels.compiled import compiled
from pipeline.kernels.median import running_median

NOTHING = float(np.finfo(np.float32).tiny) ** 2  # less than this, and librosa splits in halves


def halves(magnitude: np.ndarray, kernel_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the harmonic and the percussive half: the squares of `librosa.decompose.hpss(magnitude)`.

    `magnitude` is (bins, frames) float32, not negative. What lasts is smooth along frames, what strikes is
    smooth along bins.
    """
    along_frames = np.ascontiguousarray(running_median(np.ascontiguousarray(magnitude.T), kernel_size).T)
    along_bins = np.ascontiguousarray(running_median(magnitude, kernel_size))
    _masked_energies(magnitude.reshape(-1), along_frames.reshape(-1), along_bins.reshape(-1))
    return along_frames, along_bins


@compiled
def _masked_energies(magnitude: np.ndarray, harmonic: np.ndarray, percussive: np.ndarray) -> None:
    """Replace both medians by (magnitude * mask) ** 2, the mask being `librosa.util.softmask(power=2)`.

    In double precision squares do not underflow, so librosa's scaling to the larger one is not needed.
    """
    for i in range(magnitude.size):
        h = float(harmonic[i]) ** 2
        p = float(percussive[i]) ** 2
        nothing = h + p < NOTHING
        h = 0.5 if nothing else h
        p = 0.5 if nothing else p
        part = magnitude[i] / (h + p)
        harmonic[i] = (part * h) ** 2
        percussive[i] = (part * p) ** 2
