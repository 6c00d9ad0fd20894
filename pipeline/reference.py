"""What every feature is, by definition: the plain librosa call for one clip.

Tests, `verify` and `bench` compare with these. Parameters are librosa's own and are passed on to it.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np
from librosa.feature import melspectrogram

from commandline.registry import Registry

Definition = Callable[..., np.ndarray]  # (y, sr, **parameters) -> (rows, frames), or (frames,) for one row

DEFINITIONS: Registry[Definition] = Registry("definition")

RELATIVE_TOLERANCE = 1e-4  # of s, the largest |value| that a row takes on the clips compared
SMALLEST_SCALE = 1e-3  # s is at least this part of the feature's largest |value|
PICK_A_BIN = {"rolloff": 0.999, "yin": 0.999}  # the part of all values that has to agree
BY_ESTIMATE = dict.fromkeys(  # of a tuning or a tempo: the part of all clips that agrees in every value
    ("chroma", "chroma_cqt", "chroma_cens", "chroma_vqt", "tonnetz", "tempogram_ratio"), 0.995
)


def compute(name: str, y: np.ndarray, sample_rate: int, **parameters: Any) -> np.ndarray:
    """(rows, frames) of the feature `name`, by plain librosa.

    y            (samples,) float32, mono; sample_rate: Hz
    parameters   of the librosa call, where they differ from the feature's defaults

        compute("mel", y, 44100, n_mels=64)  # (64, 431)
    """
    given = {key: value for key, value in parameters.items() if value is not None}
    with warnings.catch_warnings():
        # Very short clips, silence and many narrow bands are legal here; librosa remarks on each.
        warnings.simplefilter("ignore")
        return np.atleast_2d(DEFINITIONS[name](y, sample_rate, **given))


@dataclass(frozen=True)
class Agreement:
    """How far two computations of one feature over the same clips lie apart."""

    name: str
    values: int
    values_outside: int
    clips: int
    clips_outside: int
    worst: float  # largest difference, in units of what is allowed

    @property
    def holds(self) -> bool:
        if self.name in BY_ESTIMATE:
            return self.clips_outside <= (1 - BY_ESTIMATE[self.name]) * self.clips
        return self.values_outside <= (1 - PICK_A_BIN.get(self.name, 1)) * self.values

    def __str__(self) -> str:
        outside = (
            f"{self.values_outside} of {self.values} values and {self.clips_outside} of {self.clips} clips"
        )
        verdict = "agrees" if self.holds else "DIFFERS"
        return f"{self.name} {verdict}: {outside} outside the tolerance, at most {self.worst:.2g} times it"


def row_scale(theirs: Sequence[np.ndarray]) -> np.ndarray:
    """(rows, 1) the s of the tolerance: each row's largest |value|, at least 1/1000 of the feature's."""
    largest = np.max([np.abs(values).max(axis=1) for values in theirs], axis=0).astype(float)
    return np.maximum(largest, SMALLEST_SCALE * largest.max())[:, None]


def agreement(
    name: str,
    ours: Sequence[np.ndarray],
    theirs: Sequence[np.ndarray],
    scale: np.ndarray | None = None,
    stored: Any = None,
) -> Agreement:
    """Compare feature `name` of several clips, each (rows, frames), with its definition's.

    `scale` is `row_scale` of all clips known, by default of `theirs`. If `ours` were rounded to the type
    `stored`, half a unit in the last place is allowed on top.
    """
    mine, other = np.array(ours, float), np.array(theirs, float)  # (clips, rows, frames)
    allowed = RELATIVE_TOLERANCE * (row_scale(theirs) if scale is None else scale)
    if stored is not None:
        allowed = allowed + np.spacing(np.abs(other).astype(stored)).astype(float) / 2
    difference, allowed = np.abs(mine - other), np.broadcast_to(allowed, mine.shape)
    ratio = np.divide(difference, allowed, out=np.where(difference > 0, np.inf, 0.0), where=allowed > 0)
    outside = (~(ratio <= 1)).sum(axis=(1, 2))  # a NaN is outside
    return Agreement(
        name, ratio.size, int(outside.sum()), len(ratio), int((outside > 0).sum()), float(ratio.max())
    )


# Of these the definition is librosa's function of another name, with the rate and without one.
WITH_RATE = {
    "chroma": "chroma_stft",
    "chroma_cqt": "chroma_cqt",
    "chroma_cens": "chroma_cens",
    "tonnetz": "tonnetz",
    "contrast": "spectral_contrast",
    "centroid": "spectral_centroid",
    "bandwidth": "spectral_bandwidth",
    "rolloff": "spectral_rolloff",
    "poly": "poly_features",
    "tempogram": "tempogram",
    "tempogram_ratio": "tempogram_ratio",
}
WITHOUT_RATE = {"flatness": "spectral_flatness", "rms": "rms", "zcr": "zero_crossing_rate"}


def plain(call: str, rate: bool) -> Definition:
    """`librosa.feature.<call>(y=y, sr=sr, …)`."""
    function = getattr(librosa.feature, call)
    return lambda y, sr, **more: function(y=y, **({"sr": sr} if rate else {}), **more)


for _name, _call in (WITH_RATE | WITHOUT_RATE).items():
    DEFINITIONS[_name] = plain(_call, _name in WITH_RATE)


def hpss_mel(
    y: np.ndarray, sr: int, *, kernel_size: int = 31, n_mels: int = 128, **more: Any
) -> tuple[Any, Any]:
    """Both parts of the separation from one call of hpss: the definitions of harmonic and percussive."""
    bands = {key: more.pop(key) for key in ("fmin", "fmax") if key in more}
    separated = librosa.decompose.hpss(np.abs(librosa.stft(y=y, **more)), kernel_size=kernel_size)
    harmonic, percussive = (
        librosa.power_to_db(melspectrogram(S=part**2, sr=sr, n_mels=n_mels, **bands)) for part in separated
    )
    return harmonic, percussive


@DEFINITIONS.register()
def waveform(y: np.ndarray, sr: int) -> np.ndarray:
    return y


@DEFINITIONS.register()
def stft(y: np.ndarray, sr: int, **framing: Any) -> np.ndarray:
    return librosa.amplitude_to_db(np.abs(librosa.stft(y=y, **framing)))


@DEFINITIONS.register()
def mel(y: np.ndarray, sr: int, *, n_mels: int = 128, **more: Any) -> np.ndarray:
    return librosa.power_to_db(melspectrogram(y=y, sr=sr, n_mels=n_mels, **more))


@DEFINITIONS.register()
def mel_delta(y: np.ndarray, sr: int, *, width: int = 9, **more: Any) -> np.ndarray:
    return librosa.feature.delta(mel(y, sr, **more), width=width)


@DEFINITIONS.register()
def mfcc(y: np.ndarray, sr: int, *, n_mfcc: int = 40, **more: Any) -> np.ndarray:
    return librosa.feature.mfcc(y=y, sr=sr, n_mfcc=n_mfcc, **more)


@DEFINITIONS.register()
def mfcc_delta(y: np.ndarray, sr: int, *, width: int = 9, **more: Any) -> np.ndarray:
    return librosa.feature.delta(mfcc(y, sr, **more), width=width)


@DEFINITIONS.register()
def mfcc_delta2(y: np.ndarray, sr: int, *, width: int = 9, **more: Any) -> np.ndarray:
    return librosa.feature.delta(mfcc(y, sr, **more), width=width, order=2)


@DEFINITIONS.register()
def pcen(y: np.ndarray, sr: int, *, hop_length: int = 512, **more: Any) -> np.ndarray:
    gains = {key: more.pop(key) for key in ("gain", "bias", "power", "time_constant", "eps") if key in more}
    magnitude = melspectrogram(y=y, sr=sr, power=1, hop_length=hop_length, **more)
    return librosa.pcen(magnitude * 2**31, sr=sr, hop_length=hop_length, **gains)


@DEFINITIONS.register()
def harmonic(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return hpss_mel(y, sr, **more)[0]


@DEFINITIONS.register()
def percussive(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return hpss_mel(y, sr, **more)[1]


@DEFINITIONS.register()
def cqt(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return librosa.amplitude_to_db(np.abs(librosa.cqt(y=y, sr=sr, **more)))


@DEFINITIONS.register()
def vqt(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return librosa.amplitude_to_db(np.abs(librosa.vqt(y=y, sr=sr, **more)))


@DEFINITIONS.register()
def chroma_vqt(y: np.ndarray, sr: int, *, intervals: str = "ji5", **more: Any) -> np.ndarray:
    return librosa.feature.chroma_vqt(y=y, sr=sr, intervals=intervals, **more)


@DEFINITIONS.register()
def onset(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return librosa.onset.onset_strength(y=y, sr=sr, **more)


@DEFINITIONS.register()
def fourier_tempogram(y: np.ndarray, sr: int, **more: Any) -> np.ndarray:
    return np.abs(librosa.feature.fourier_tempogram(y=y, sr=sr, **more))


@DEFINITIONS.register()
def yin(y: np.ndarray, sr: int, *, fmin: float = 65, fmax: float = 2093, **more: Any) -> np.ndarray:
    return librosa.yin(y=y, sr=sr, fmin=fmin, fmax=fmax, **more)
