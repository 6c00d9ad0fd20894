"""One clip and its intermediates, each computed the first time that a feature asks for it.

Every spectrum-like array is (rows, frames), as in librosa, and must not be changed by those who get it.
"""

import dataclasses
import functools
import time
import warnings
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import librosa
import numpy as np

from pipeline.parameters import Framing, MelBank, Wavelets

P = ParamSpec("P")
T = TypeVar("T")


class Impossible(Exception):
    """A feature that cannot exist for clips of this rate or duration; the message says why."""


def shared(method: Callable[Concatenate["Clip", P], T]) -> Callable[Concatenate["Clip", P], T]:
    """Compute once a clip and set of arguments, then hand out the same object, counting what that saves."""

    @functools.wraps(method)
    def once(clip: "Clip", *args: P.args, **kwargs: P.kwargs) -> T:
        key = (method.__name__, args, tuple(sorted(kwargs.items())))
        if key not in clip.made:
            begun, saved_before = time.perf_counter(), clip.seconds_saved
            value = method(clip, *args, **kwargs)
            alone = time.perf_counter() - begun + clip.seconds_saved - saved_before
            clip.made[key] = value, alone
        else:
            clip.seconds_saved += clip.made[key][1]
        return clip.made[key][0]

    return once


class Clip:
    """A sound: `y` float32 mono, at `sample_rate` Hz."""

    def __init__(self, y: np.ndarray, sample_rate: int) -> None:
        self.y = y
        self.sample_rate = sample_rate
        self.made: dict[Any, tuple[Any, float]] = {}  # intermediate -> value, seconds that it takes alone
        self.seconds_saved = 0.0  # by intermediates that were asked for again

    @shared
    def spectrum(self, framing: Framing) -> np.ndarray:
        """(1 + n_fft/2, frames) complex64: `librosa.stft`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return librosa.stft(
                self.y, n_fft=framing.n_fft, hop_length=framing.hop_length, win_length=framing.win_length
            )

    @shared
    def magnitude(self, framing: Framing) -> np.ndarray:
        return np.abs(self.spectrum(framing))

    @shared
    def power(self, framing: Framing) -> np.ndarray:
        return self.magnitude(framing) ** 2

    @shared
    def mel(self, bank: MelBank, framing: Framing, power: int = 2) -> np.ndarray:
        """(n_mels, frames) energy of each band: `librosa.feature.melspectrogram`."""
        spectrogram = self.power(framing) if power == 2 else self.magnitude(framing)
        return melspectrogram(spectrogram, self.sample_rate, bank)

    @shared
    def mel_db(self, bank: MelBank, framing: Framing) -> np.ndarray:
        return librosa.power_to_db(self.mel(bank, framing))

    @shared
    def mfcc(self, n_mfcc: int, bank: MelBank, framing: Framing) -> np.ndarray:
        return librosa.feature.mfcc(S=self.mel_db(bank, framing), n_mfcc=n_mfcc)

    @shared
    def halves(self, framing: Framing, kernel_size: int) -> tuple[np.ndarray, np.ndarray]:
        """The harmonic and the percussive part of the magnitude: `librosa.decompose.hpss`."""
        return librosa.decompose.hpss(self.magnitude(framing), kernel_size=kernel_size)

    @shared
    def tuning(self, bins_per_octave: int, framing: Framing, power: int) -> float:
        """Deviation from A440 in bins: `librosa.estimate_tuning` of the magnitude or of the power."""
        spectrogram = self.power(framing) if power == 2 else self.magnitude(framing)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return librosa.estimate_tuning(
                S=spectrogram, sr=self.sample_rate, bins_per_octave=bins_per_octave
            )

    @shared
    def constant_q(self, wavelets: Wavelets, tuned: bool = False) -> np.ndarray:
        """(n_bins, frames) magnitudes: `abs(librosa.cqt)`."""
        tuning = 0.0
        if tuned:
            tuning = self.tuning(wavelets.bins_per_octave, Framing(), power=1)
        return self._vqt(wavelets, 0.0, "equal", tuning)

    @shared
    def variable_q(self, wavelets: Wavelets, gamma: float | None, intervals: str) -> np.ndarray:
        """(n_bins, frames) magnitudes: `abs(librosa.vqt)`."""
        return self._vqt(wavelets, gamma, intervals, 0.0)

    def _vqt(self, wavelets: Wavelets, gamma: float | None, intervals: str, tuning: float) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return np.abs(
                    librosa.vqt(
                        y=self.y,
                        sr=self.sample_rate,
                        gamma=gamma,
                        intervals=intervals,
                        tuning=tuning,
                        **dataclasses.asdict(wavelets),
                    )
                )
            except librosa.ParameterError as reason:
                raise Impossible(str(reason)) from None

    @shared
    def chroma_cqt(self, hop_length: int) -> np.ndarray:
        """(12, frames) not normalised: `librosa.feature.chroma_cqt(norm=None)`."""
        magnitude = self.constant_q(Wavelets(252, 36, 1.0, hop_length), tuned=True)
        return librosa.feature.chroma_cqt(C=magnitude, bins_per_octave=36, norm=None)

    @shared
    def onset(self, framing: Framing) -> np.ndarray:
        """(frames,) onset strength: `librosa.onset.onset_strength`."""
        decibels = self.mel_db(MelBank(), framing)
        return librosa.onset.onset_strength(
            S=decibels, sr=self.sample_rate, n_fft=framing.n_fft, hop_length=framing.hop_length
        )

    @shared
    def tempogram(self, win_length: int, hop_length: int) -> np.ndarray:
        """(win_length, frames) local autocorrelation: `librosa.feature.tempogram`."""
        return librosa.feature.tempogram(
            onset_envelope=self.onset(Framing(hop_length=hop_length)),
            sr=self.sample_rate,
            win_length=win_length,
            hop_length=hop_length,
        )


def melspectrogram(spectrogram: np.ndarray, sample_rate: int, bank: MelBank) -> np.ndarray:
    return librosa.feature.melspectrogram(S=spectrogram, sr=sample_rate, **dataclasses.asdict(bank))
