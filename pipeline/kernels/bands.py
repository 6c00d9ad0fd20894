"""Filter banks: a few weighted neighbouring bins make a band."""

import dataclasses
import functools
import warnings

import librosa
import numpy as np
import scipy.sparse

from pipeline.parameters import MelBank


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
