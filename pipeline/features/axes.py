"""What the rows of a feature stand for: (sample_rate, **parameters) -> (rows,)."""

from typing import Any

import librosa
import numpy as np

TYPICAL_SECONDS = 5  # of sound, where an axis has to be counted by computing; rows never depend on it


def fft(sample_rate: int, *, n_fft: int, **_: Any) -> np.ndarray:
    """Hz of each bin of a spectrum."""
    return librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)


def mel(sample_rate: int, *, n_mels: int, fmin: float, fmax: float | None, **_: Any) -> np.ndarray:
    """Hz of the centre of each mel band."""
    return librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sample_rate / 2)[1:-1]


def constant_q(_: int, *, n_bins: int, bins_per_octave: int, **__: Any) -> np.ndarray:
    """Hz of each bin, from the note C1 up."""
    lowest = float(librosa.note_to_hz("C1"))
    return librosa.cqt_frequencies(n_bins, fmin=lowest, bins_per_octave=bins_per_octave)


def pitch_class(_: int, **__: Any) -> np.ndarray:
    """The twelve pitch classes, 0 is C."""
    return np.arange(12.0)


def contrast_band(_: int, *, fmin: float, n_bands: int, **__: Any) -> np.ndarray:
    """Hz of the lower end of each octave band; the first begins at 0."""
    return np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands)])


def lag(sample_rate: int, *, win_length: int, hop_length: int, **_: Any) -> np.ndarray:
    """Seconds between a beat and its echo."""
    return np.arange(win_length) * hop_length / sample_rate


def tempo(sample_rate: int, *, win_length: int, hop_length: int, **_: Any) -> np.ndarray:
    """Beats a minute of each bin of a Fourier tempogram."""
    return librosa.fourier_tempo_frequencies(sr=sample_rate, win_length=win_length, hop_length=hop_length)


def metre(_: int, **__: Any) -> np.ndarray:
    """Multiples of the estimated tempo (Prockup et al. 2015)."""
    return np.array([4, 8 / 3, 3, 2, 4 / 3, 3 / 2, 1, 2 / 3, 3 / 4, 1 / 2, 1 / 3, 3 / 8, 1 / 4])
