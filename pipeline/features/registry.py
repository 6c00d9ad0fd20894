"""The registry: one decorated function a feature, and its variants by name.

    @feature(units="dB", rows=mel_axis, row_unit="Hz")
    def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
        ...

The function's name is the feature's, its keyword-only arguments are its parameters, its docstring is its
card, its result has shape (rows, frames). Nothing else needs to know of it.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import librosa
import numpy as np

from commandline.registry import Registry, RequestError, nearest
from features_cache.names import Channel
from pipeline import parameters
from pipeline.clip import Clip
from pipeline.kernels.half import to_float16
from pipeline.parameters import Parameter, Value

Function = Callable[..., np.ndarray]
RowAxis = Callable[..., np.ndarray]  # (sample_rate, **parameters) -> (rows,)

TYPICAL_SECONDS = 5  # of audio, where an axis has to be counted by computing; rows never depend on it


@dataclass(frozen=True)
class Feature:
    """A feature type: how it is computed and what its rows and values are."""

    name: str
    function: Function = field(repr=False)
    units: str
    rows: RowAxis | None = field(repr=False)
    row_unit: str
    version: int  # raised when its values change, so that caches know
    recorded: Callable[..., dict[str, str]] | None = field(default=None, repr=False)
    """(**parameters) -> what else its values depend on, such as a file's fingerprint"""
    frames: Callable[[int, float], np.ndarray] | None = field(default=None, repr=False)
    """(count, seconds of the clip) -> (count,) where each frame lies, where no hop_length says so"""

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        return parameters.of_function(self.function)

    @property
    def docstring(self) -> str:
        """A line on what it is, then what `python -m pipeline list NAME` shows."""
        return self.function.__doc__ or ""


FEATURES: Registry[Feature] = Registry("feature")


def feature(
    *, units: str, rows: RowAxis | None = None, row_unit: str = "index", version: int = 1
) -> Callable[[Function], Function]:
    """Decorator: register a function (clip, **parameters) -> (rows, frames) as the feature of its name.

    units    of the values: "dB" is a level, which rises with loudness, "amplitude" and "power" are multiplied
             by it, anything else ("dB/frame", "Hz", ...) stays; the augmentation `gain` goes by this
    rows     (sample_rate, **parameters) -> (rows,) what each row stands for; without it rows are numbered
    row_unit of these
    version  raised when the feature's values change, so that caches compute it again
    """
    return FEATURES.register(
        entry=lambda function: Feature(function.__name__, function, units, rows, row_unit, version)
    )


def find_feature(name: str) -> Feature:
    """The feature of this name; `embedding`, which needs a network in a file, is none of FEATURES."""
    if name == "embedding":
        from pipeline.extras.embedding import EMBEDDING

        return EMBEDDING
    return FEATURES[name]


@dataclass(frozen=True)
class Variant:
    """A feature with all its parameters set, such as mel@n_mels=64."""

    name: str
    settings: tuple[tuple[str, Value], ...]  # every parameter, in the order of the signature
    stored: str  # canonical name, "mel@n_mels=64": keys sorted, defaults dropped

    @property
    def feature(self) -> Feature:
        return find_feature(self.name)

    @property
    def parameters(self) -> dict[str, Value]:
        return dict(self.settings)

    @property
    def recorded(self) -> dict[str, Value]:
        """The parameters and what else the values depend on: what the cache and run.json keep."""
        more = self.feature.recorded
        return self.parameters | (more(**self.parameters) if more else {})

    @property
    def version(self) -> int:
        return self.feature.version

    @property
    def units(self) -> str:
        return self.feature.units

    @property
    def row_unit(self) -> str:
        return self.feature.row_unit

    def compute(self, clip: Clip) -> np.ndarray:
        """(rows, frames), not yet rounded for storage; raises Impossible."""
        return self.feature.function(clip, **_arguments(self))

    def shape(self, sample_rate: int, samples: int) -> tuple[int, int]:
        """(rows, frames) for clips of this rate and length; raises Impossible with the reason.

        Found by computing the feature of a silent clip. In the process that asks this also compiles what
        the feature and its storing need, so that workers find it compiled.
        """
        return _shape(self, sample_rate, samples, tuple(self.recorded.items()))

    def row_axis(self, sample_rate: int) -> np.ndarray:
        """(rows,) what each row stands for, in `row_unit`."""
        if self.feature.rows is not None:
            return self.feature.rows(sample_rate, **self.parameters)
        return np.arange(self.shape(sample_rate, TYPICAL_SECONDS * sample_rate)[0], dtype=float)

    def frame_axis(self, sample_rate: int, samples: int) -> np.ndarray:
        """(frames,) the centre of each frame in seconds."""
        count = self.shape(sample_rate, samples)[1]
        if self.feature.frames is not None and count > 1:
            return self.feature.frames(count, samples / sample_rate)
        hop_length = int(self.parameters.get("hop_length") or 1)
        return np.arange(count) * (hop_length / sample_rate)


@functools.lru_cache(maxsize=1024)
def _arguments(variant: Variant) -> dict[str, Any]:
    """Of the feature's function. Kept, since reading a signature takes longer than some features."""
    return parameters.to_arguments(variant.feature.function, variant.parameters)


@functools.lru_cache(maxsize=1024)
def _shape(variant: Variant, sample_rate: int, samples: int, recorded: Any) -> tuple[int, int]:
    values = variant.compute(Clip(np.zeros(samples, np.float32), sample_rate))
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        shape = f"an array of shape {values.shape}" if isinstance(values, np.ndarray) else f"{values!r:.60}"
        one_row = "; values[None] has one row" if isinstance(values, np.ndarray) and values.ndim == 1 else ""
        raise RequestError(f"{variant.name} returned {shape}, expected (rows, frames){one_row}")
    to_float16(values)
    rows, frames = values.shape
    return rows, frames


def resolve_feature(channel: Channel) -> Variant:
    """The variant that `channel` names; RequestError with the nearest name where it names none."""
    feature = find_feature(channel.name)
    known = feature.parameters
    values: dict[str, Value] = {name: parameter.default for name, parameter in known.items()}
    for key, value in channel.parameters:
        if key not in known:
            raise RequestError(f"{channel.name}: " + nearest("parameter", key, known))
        values[key] = _read(channel.name, known[key], value)
    try:
        parameters.to_arguments(feature.function, values)
    except ValueError as clash:
        raise RequestError(f"{channel.name}: {clash}") from None
    changed = [(key, values[key]) for key in sorted(values) if values[key] != known[key].default]
    stored = Channel(channel.name, _named(changed), None).stored
    return Variant(channel.name, tuple(values.items()), stored)


def _read(name: str, parameter: Parameter, value: Value) -> Value:
    try:
        return parameter.read(value)
    except ValueError as reason:
        raise RequestError(f"{name}: {reason}") from None


def _named(changed: Iterable[tuple[str, Value]]) -> Any:
    return tuple((key, "none" if value is None else value) for key, value in changed)


# Row axes: (sample_rate, **parameters) -> (rows,)


def frequency_axis(sample_rate: int, *, n_fft: int, **_: Any) -> np.ndarray:
    """Hz of each bin of a spectrum."""
    return librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)


def mel_axis(sample_rate: int, *, n_mels: int, fmin: float, fmax: float | None, **_: Any) -> np.ndarray:
    """Hz of the centre of each mel band."""
    return librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sample_rate / 2)[1:-1]


def constant_q_axis(_: int, *, n_bins: int, bins_per_octave: int, **__: Any) -> np.ndarray:
    """Hz of each bin, from the note C1 up."""
    lowest = float(librosa.note_to_hz("C1"))
    return librosa.cqt_frequencies(n_bins, fmin=lowest, bins_per_octave=bins_per_octave)


def pitch_class_axis(_: int, **__: Any) -> np.ndarray:
    """The twelve pitch classes, 0 is C."""
    return np.arange(12.0)


def contrast_axis(_: int, *, fmin: float, n_bands: int, **__: Any) -> np.ndarray:
    """Hz of the lower end of each octave band; the first begins at 0."""
    return np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands)])


def lag_axis(sample_rate: int, *, win_length: int, hop_length: int, **_: Any) -> np.ndarray:
    """Seconds between a beat and its echo."""
    return np.arange(win_length) * hop_length / sample_rate


def tempo_axis(sample_rate: int, *, win_length: int, hop_length: int, **_: Any) -> np.ndarray:
    """Beats a minute of each bin of a Fourier tempogram."""
    return librosa.fourier_tempo_frequencies(sr=sample_rate, win_length=win_length, hop_length=hop_length)


def metre_axis(_: int, **__: Any) -> np.ndarray:
    """Multiples of the estimated tempo (Prockup et al. 2015)."""
    return np.array([4, 8 / 3, 3, 2, 4 / 3, 3 / 2, 1, 2 / 3, 3 / 4, 1 / 2, 1 / 3, 3 / 8, 1 / 4])
