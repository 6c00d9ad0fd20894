"""Parameters of features: typed, range-checked, read from a function's signature.

A feature declares a parameter as a keyword-only argument with an annotated type, `n_mels: Count = 128`.
Parameters that many features share come in groups, frozen dataclasses such as `Framing`: an argument
`framing: Framing` gives the feature `n_fft`, `hop_length` and `win_length`, each with the default that the
group states once. All names and meanings are librosa's.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Within:
    """The range of a number, both ends included; `odd` or `even` narrows it."""

    low: float
    high: float
    parity: str = ""

    def __str__(self) -> str:
        return f"{self.parity} {self.low:g} to {self.high:g}".strip()

    def holds(self, value: float) -> bool:
        fits = {"": True, "odd": value % 2 == 1, "even": value % 2 == 0}[self.parity]
        return self.low <= value <= self.high and fits


Samples = Annotated[int, Within(2, 65536)]
EvenSamples = Annotated[int, Within(16, 65536, "even")]
Count = Annotated[int, Within(1, 2048)]
Odd = Annotated[int, Within(3, 255, "odd")]
Hertz = Annotated[float, Within(0, 96000)]
Positive = Annotated[float, Within(1e-12, 1e6)]
Unit = Annotated[float, Within(0, 1)]
Quantile = Annotated[float, Within(0.001, 0.5)]
Fraction = Annotated[float, Within(0.01, 0.99)]
Degree = Annotated[int, Within(1, 8)]


@dataclass(frozen=True)
class Framing:
    """How a clip is cut into windowed frames (`librosa.stft`)."""

    n_fft: EvenSamples = 2048
    hop_length: Samples = 512
    win_length: Samples | None = None  # as long as n_fft

    def __post_init__(self) -> None:
        if self.win_length is not None and self.win_length > self.n_fft:
            raise ValueError(f"win_length={self.win_length} is longer than n_fft={self.n_fft}; raise n_fft")


@dataclass(frozen=True)
class MelBank:
    """Triangular bands, evenly spaced on the mel scale (`librosa.filters.mel`)."""

    n_mels: Count = 128
    fmin: Hertz = 0.0
    fmax: Hertz | None = None  # half the sample rate

    def __post_init__(self) -> None:
        if self.fmax is not None and self.fmax <= self.fmin:
            raise ValueError(f"fmax={self.fmax:g} must be above fmin={self.fmin:g}")


@dataclass(frozen=True)
class Wavelets:
    """A constant-Q filter bank from C1 up (`librosa.cqt`)."""

    n_bins: Count = 84
    bins_per_octave: Count = 12
    filter_scale: Annotated[float, Within(0.05, 4)] = 1.0
    hop_length: Samples = 512


@dataclass(frozen=True)
class Parameter:
    """One parameter of a feature: its name, type, range and default, and the group that it belongs to."""

    name: str
    type: type
    within: Within | None
    default: Value
    argument: str  # of the feature's function: the parameter itself, or its group

    def read(self, value: Value) -> Value:
        """`value` as this parameter's type; ValueError where it does not fit."""
        if value is None or value == "none":
            if self.default is None:
                return None
            raise ValueError(f"{self.name} needs {self.described()}")
        try:
            number = _cast(self.type, value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name}={value} is not {self.described()}") from None
        if self.within and not self.within.holds(typing.cast(float, number)):
            raise ValueError(f"{self.name}={value} is not {self.described()}")
        return number

    def described(self) -> str:
        """`an int, 1 to 2048`."""
        article = "an" if self.type is int else "a"
        words = {int: "int", float: "number", bool: "true or false", str: "word"}
        return f"{article} {words[self.type]}" + (f", {self.within}" if self.within else "")


def of_function(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The parameters that a feature's signature declares, groups flattened, in its order."""
    hints = typing.get_type_hints(function, include_extras=True)
    found: dict[str, Parameter] = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        annotation = hints[argument.name]
        if dataclasses.is_dataclass(annotation):
            inner = typing.get_type_hints(annotation, include_extras=True)
            for field in dataclasses.fields(annotation):
                found[field.name] = _parameter(field.name, inner[field.name], field.default, argument.name)
        else:
            found[argument.name] = _parameter(argument.name, annotation, argument.default, argument.name)
    return found


def to_arguments(function: Callable[..., Any], values: dict[str, Value]) -> dict[str, Any]:
    """Keyword arguments for `function`, the groups put together again; ValueError where they clash."""
    hints = typing.get_type_hints(function)
    arguments: dict[str, Any] = {}
    for name, parameter in of_function(function).items():
        arguments.setdefault(parameter.argument, {})[name] = values[name]
    return {
        argument: hints[argument](**inner) if dataclasses.is_dataclass(hints[argument]) else inner[argument]
        for argument, inner in arguments.items()
    }


def _parameter(name: str, annotation: Any, default: Any, argument: str) -> Parameter:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        annotation = next(choice for choice in typing.get_args(annotation) if choice is not type(None))
    within = next((m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Within)), None)
    kind = typing.get_args(annotation)[0] if within else annotation
    return Parameter(name, kind, within, default, argument)


def _cast(kind: type, value: Value) -> Value:
    if kind is bool:
        return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
    if isinstance(value, bool):
        raise TypeError
    if kind is int and float(typing.cast(float, value)) != int(float(typing.cast(float, value))):
        raise ValueError
    return kind(float(typing.cast(float, value))) if kind in (int, float) else str(value)
