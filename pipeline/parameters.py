"""Parameters of features: typed, range-checked, read from a function's signature.

A feature declares a parameter as a keyword-only argument with an annotated type,
`n_mels: Count = 128`, or several as a group: an argument `framing: Framing` gives it
`n_fft`, `hop_length` and `win_length`, each with the default that the group states, or
that of `bank: MelBank = MEL_64`. If
librosa has a parameter, its name and meaning are librosa's.
"""

import inspect
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType
from typing import Annotated

from featurestack.commandline.errors import RequestError
from featurestack.commandline.registry import Registry

Value = str | int | float | bool | None
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


@dataclass(frozen=True)
class Within:
    """The range of a number, both ends included; steps count from `low`."""

    low: float
    high: float
    step: int = 0

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self.step else ""
        return f"from {self.low:g} to {self.high:g}{steps}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and not (
            self.step and (value - self.low) % self.step
        )


Milliseconds = Annotated[float, Within(1, 1000)]
Samples = Annotated[int, Within(2, 65536)]
EvenSamples = Annotated[int, Within(16, 65536, 2)]
Count = Annotated[int, Within(1, 2048)]
Several = Annotated[int, Within(2, 2048)]
Odd = Annotated[int, Within(3, 255, 2)]
Hertz = Annotated[float, Within(0, 96000)]
ModulationHertz = Annotated[float, Within(0.01, 1000)]
Positive = Annotated[float, Within(1e-12, 1e6)]
Unit = Annotated[float, Within(0, 1)]
Quantile = Annotated[float, Within(0.001, 0.5)]
Fraction = Annotated[float, Within(0.01, 0.99)]
Degree = Annotated[int, Within(1, 8)]
Ranges = Annotated[int, Within(1, 64)]


@dataclass(frozen=True)
class Framing:
    """Length and distance of a clip's windowed frames (`librosa.stft`)."""

    n_fft: EvenSamples = 2048
    hop_length: Samples = 512
    win_length: Samples | None = None  # None: n_fft

    def __post_init__(self) -> None:
        if self.win_length is not None and self.win_length > self.n_fft:
            raise RequestError(
                f"win_length={self.win_length} is longer than n_fft={self.n_fft}; raise"
                " n_fft"
            )


@dataclass(frozen=True)
class MelBank:
    """Triangular bands, evenly spaced on the mel scale (`librosa.filters.mel`)."""

    n_mels: Count = 128
    fmin: Hertz = 0.0
    fmax: Hertz | None = None  # half the sample rate


MEL_64, MEL_32 = MelBank(n_mels=64), MelBank(n_mels=32)


@dataclass(frozen=True)
class LinearBank:
    """Triangular bands, evenly spaced in Hz."""

    n_bands: Count = 128
    fmin: Hertz = 0.0
    fmax: Hertz | None = None  # half the sample rate


@dataclass(frozen=True)
class ErbBank(LinearBank):
    """Gammatone bands, evenly spaced in ERB-rate (Glasberg and Moore 1990)."""

    fmin: Hertz = 50.0


@dataclass(frozen=True)
class Compression:
    """Division of a band by its recent level (`librosa.pcen`)."""

    gain: Unit = 0.98
    bias: Positive = 2.0
    power: Positive = 0.5
    time_constant: Positive = 0.4  # seconds
    eps: Positive = 1e-6


@dataclass(frozen=True)
class Wavelets:
    """A constant-Q filter bank from C1 up (`librosa.cqt`)."""

    n_bins: Several = 84
    bins_per_octave: Count = 12
    filter_scale: Annotated[float, Within(0.05, 4)] = 1.0
    hop_length: Samples = 512


@dataclass(frozen=True)
class Parameter:
    """One parameter of a feature: its name, type, range and default."""

    name: str
    kind: type
    within: Within | None
    default: Value

    def read(self, value: Value, feature: str) -> Value:
        """A feature's `value` as this parameter's type; RequestError if it does not
        fit.
        """
        if value in (None, "none") and self.default is None:
            return None
        try:
            read = self.kind(value)
            fits = isinstance(value, bool) == (self.kind is bool) and (
                self.kind is str or read == value
            )
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits or (self.within and read not in self.within):
            expected = KINDS[self.kind] + (f" {self.within}" if self.within else "")
            raise RequestError(f"{feature}@{self.name}={value}: expected {expected}")
        return read


# every feature of frames takes it in place of those that count samples
FRAME = Parameter("frame", float, Within(1, 1000), None)
SHORTEST = 16  # samples of a frame
OVERLAP = 4  # frames begin a quarter of their length apart
# lengths from 512 samples on are multiples: cqt's seven octaves need a hop 64 divides
STEP = 256


def frame_samples(milliseconds: float, sample_rate: int) -> int:
    """The length of a frame in samples, about so many milliseconds.

    >>> [frame_samples(46, rate) for rate in (8000, 16000, 44100, 48000)]
    [384, 768, 2048, 2304]
    """
    samples = max(SHORTEST, milliseconds / 1000 * sample_rate)
    half = 2 ** int(math.log2(samples)) // 2
    step = min(STEP, half)
    return step * round(samples / step)


def samples_of_frame(milliseconds: float, sample_rate: int) -> dict[str, int]:
    """The parameters that count samples, for frames of this duration."""
    length = frame_samples(milliseconds, sample_rate)
    return {"n_fft": length, "frame_length": length, "hop_length": length // OVERLAP}


def arguments(
    function: Callable[..., object],
) -> Iterator[
    tuple[str, Callable[..., object] | None, Mapping[str, inspect.Parameter]]
]:
    """(name, group or None, fields) of each keyword-only argument."""
    for name, argument in inspect.signature(function, eval_str=True).parameters.items():
        if argument.kind is inspect.Parameter.KEYWORD_ONLY:
            group = argument.annotation
            grouped = is_dataclass(group)
            fields = {name: argument}
            if grouped:
                fields = dict(inspect.signature(group).parameters)
            if grouped and argument.default is not argument.empty:
                own = vars(argument.default)
                fields = {n: f.replace(default=own[n]) for n, f in fields.items()}
            yield name, group if grouped else None, fields


def of_function(function: Callable[..., object]) -> Registry[Parameter]:
    """The parameters in a feature's signature, in its order, with groups flattened."""
    found: Registry[Parameter] = Registry("parameter")
    for _, _, fields in arguments(function):
        for name, field in fields.items():
            annotation = field.annotation
            if NoneType in typing.get_args(annotation):  # Samples | None
                annotation = typing.get_args(annotation)[0]
            kind, within = typing.get_args(annotation) or (annotation, None)
            found[name] = Parameter(name, kind, within, field.default)
    return found
