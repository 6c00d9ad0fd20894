"""What every feature is, by definition: for one clip, in calls of librosa, numpy and scipy.

Tests, `verify` and `bench` compare with these. Parameters are librosa's own and are passed on to it.
"""

import inspect
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np
import scipy
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


# Of these the definition is librosa's function of another name.
LIBROSA_CALLS = {
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
    "flatness": "spectral_flatness",
    "rms": "rms",
    "zcr": "zero_crossing_rate",
}


def plain(call: str) -> Definition:
    """`librosa.feature.<call>(y=y, sr=sr, …)`, without the rate if it takes none."""
    function = getattr(librosa.feature, call)
    rated = "sr" in inspect.signature(function).parameters
    return lambda y, sr, **more: function(y=y, **{"sr": sr} if rated else {}, **more)


for _name, _call in LIBROSA_CALLS.items():
    DEFINITIONS[_name] = plain(_call)


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


@DEFINITIONS.register()
def gammatone(
    y: np.ndarray, sr: int, *, n_bands: int = 128, fmin: float = 50, fmax: float | None = None, **framing: Any
) -> np.ndarray:
    power = np.abs(librosa.stft(y=y, **framing)) ** 2
    frequency = librosa.fft_frequencies(sr=sr, n_fft=2 * len(power) - 2)
    lowest, highest = (21.4 * np.log10(1 + 0.00437 * hertz) for hertz in (fmin, fmax or sr / 2))
    centre = (10 ** (np.linspace(lowest, highest, n_bands) / 21.4) - 1) / 0.00437
    width = 1.019 * 24.7 * (4.37 * centre / 1000 + 1)
    response = np.abs((1 + 1j * (frequency - centre[:, None]) / width[:, None]) ** -4)
    return librosa.power_to_db(response @ power)


@DEFINITIONS.register()
def gfcc(y: np.ndarray, sr: int, *, n_gfcc: int = 40, **more: Any) -> np.ndarray:
    return scipy.fft.dct(gammatone(y, sr, **more), axis=0, norm="ortho")[:n_gfcc]


@DEFINITIONS.register()
def lfcc(
    y: np.ndarray,
    sr: int,
    *,
    n_lfcc: int = 40,
    n_bands: int = 128,
    fmin: float = 0,
    fmax: float | None = None,
    **framing: Any,
) -> np.ndarray:
    power = np.abs(librosa.stft(y=y, **framing)) ** 2
    frequency = librosa.fft_frequencies(sr=sr, n_fft=2 * len(power) - 2)
    edges = np.linspace(fmin, fmax or sr / 2, n_bands + 2)
    bands = [np.interp(frequency, edges[k : k + 3], [0, 1, 0]) @ power for k in range(n_bands)]
    return scipy.fft.dct(librosa.power_to_db(np.array(bands)), axis=0, norm="ortho")[:n_lfcc]


@DEFINITIONS.register()
def shape(y: np.ndarray, sr: int, **framing: Any) -> np.ndarray:
    magnitude = np.abs(librosa.stft(y=y, **framing)).astype(float)
    total, norm = magnitude.sum(axis=0), np.linalg.norm(magnitude, axis=0)
    silent = total < np.finfo(np.float32).tiny
    p, direction = magnitude / np.where(silent, 1, total), magnitude / np.where(silent, 1, norm)
    x = np.linspace(0, 1, len(p))[:, None]
    deviation = x - (x * p).sum(axis=0)
    spread = np.sqrt((deviation**2 * p).sum(axis=0))
    z, k = deviation / np.where(spread < 1e-6, 1, spread), np.arange(1, len(p))[:, None]
    above = p[1:].sum(axis=0)
    return np.where(
        silent,
        0,
        [
            (z**3 * p).sum(axis=0),
            np.minimum((z**4 * p).sum(axis=0), 6e4),
            scipy.stats.entropy(p + silent, axis=0) / np.log(len(p)),
            len(p) * p.max(axis=0),
            np.append(0, np.linalg.norm(np.diff(direction, axis=1), axis=0)),
            ((p[1:] - p[0]) / k).sum(axis=0) / np.where(above > 0, above, 1),
        ],
    )


@DEFINITIONS.register()
def ifd(
    y: np.ndarray,
    sr: int,
    *,
    n_mels: int = 64,
    fmin: float = 0,
    fmax: float | None = None,
    hop_length: int = 512,
    **framing: Any,
) -> np.ndarray:
    instantaneous, _, magnitude = librosa.reassigned_spectrogram(
        y=y.astype(float),
        sr=sr,
        hop_length=hop_length,
        reassign_times=False,
        ref_power=0.0,
        clip=False,
        fill_nan=True,
        **framing,
    )
    n_fft = 2 * len(magnitude) - 2
    deviation = np.abs(instantaneous - librosa.fft_frequencies(sr=sr, n_fft=n_fft)[:, None])
    bands = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    energy = bands @ magnitude**2
    least = max(1e-8 * energy.max(), np.finfo(np.float32).tiny)  # 80 dB below the largest
    return bands @ (magnitude**2 * deviation) / np.maximum(energy, least)


@DEFINITIONS.register()
def modulation(
    y: np.ndarray,
    sr: int,
    *,
    ranges: int = 12,
    low: float = 0.5,
    high: float = 42,
    n_mels: int = 32,
    hop_length: int = 512,
    **more: Any,
) -> np.ndarray:
    levels, rate = mel(y, sr, n_mels=n_mels, hop_length=hop_length, **more), sr / hop_length
    edges = np.geomspace(low, min(high, rate / 2), ranges + 1)
    sounding = np.trim_zeros(y, "b")  # without what it was padded with
    frames = 1 + (len(sounding) - 1) // hop_length if len(sounding) else levels.shape[1]
    centred = levels[:, :frames] - levels[:, :frames].mean(axis=1, keepdims=True)
    points = 1
    while points < levels.shape[1] or rate / points > edges[1] - edges[0]:
        points *= 2
    frequency = np.fft.rfftfreq(points, 1 / rate)
    depth = 2 * np.abs(np.fft.rfft(centred, points)) / frames
    means = [
        depth[:, (frequency >= begin) & (frequency < end)].mean(axis=1)
        for begin, end in itertools.pairwise(edges)
    ]
    return np.log(0.01 + np.stack(means, axis=1))
