"""The registry: one decorated function a feature, and its variants by name.

    @feature(units="dB", rows=axes.mel, row_unit="Hz")
    def mel(clip: Clip, *, bank: MelBank, framing: Framing) -> np.ndarray:
        ...

The function's name is the feature's, its keyword-only arguments are its parameters, its docstring is its
card, its result has shape (rows, frames). Nothing else needs to know of it.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commandline import RequestError, nearest
from features_cache.names import Channel
from pipeline import parameters
from pipeline.clip import Clip, Impossible
from pipeline.features import axes
from pipeline.parameters import Parameter, Value

Function = Callable[..., np.ndarray]
RowAxis = Callable[..., np.ndarray]  # (sample_rate, **parameters) -> (rows,)

REGISTRY: dict[str, "Feature"] = {}


@dataclass(frozen=True)
class Feature:
    """One kind of feature: how it is computed and what its rows and values are."""

    name: str
    function: Function = field(repr=False)
    units: str
    rows: RowAxis | None = field(repr=False)
    row_unit: str
    version: int  # raised when its values change, so that caches know

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        return parameters.of_function(self.function)

    @property
    def docstring(self) -> str:
        """A line on what it is, then what `python -m pipeline list NAME` shows."""
        return self.function.__doc__ or ""


def feature(
    *, units: str, rows: RowAxis | None = None, row_unit: str = "index", version: int = 1
) -> Callable[[Function], Function]:
    """Register the decorated function as the feature of its name. Without `rows` the rows are numbered."""

    def register(function: Function) -> Function:
        name = function.__name__
        if name in REGISTRY:
            raise ValueError(
                f"feature {name!r} is registered twice: {REGISTRY[name].function} and {function}"
            )
        REGISTRY[name] = Feature(name, function, units, rows, row_unit, version)
        return function

    return register


@dataclass(frozen=True)
class Variant:
    """A feature with all its parameters set, such as mel@n_mels=64."""

    name: str
    settings: tuple[tuple[str, Value], ...]  # every parameter, in the order of the signature
    stored: str  # canonical name, "mel@n_mels=64": keys sorted, defaults dropped

    @property
    def feature(self) -> Feature:
        return REGISTRY[self.name]

    @property
    def parameters(self) -> dict[str, Value]:
        return dict(self.settings)

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
        the feature needs, so that workers find it compiled.
        """
        return _shape(self, sample_rate, samples)

    def row_axis(self, sample_rate: int) -> np.ndarray:
        """(rows,) what each row stands for, in `row_unit`."""
        if self.feature.rows is not None:
            return self.feature.rows(sample_rate, **self.parameters)
        return np.arange(self.shape(sample_rate, axes.TYPICAL_SECONDS * sample_rate)[0], dtype=float)

    def frame_axis(self, sample_rate: int, samples: int) -> np.ndarray:
        """(frames,) the centre of each frame in seconds."""
        hop_length = int(self.parameters.get("hop_length") or 1)
        return np.arange(self.shape(sample_rate, samples)[1]) * (hop_length / sample_rate)


@functools.lru_cache(maxsize=1024)
def _arguments(variant: Variant) -> dict[str, Any]:
    """Of the feature's function. Kept, since reading a signature takes longer than some features."""
    return parameters.to_arguments(variant.feature.function, variant.parameters)


@functools.lru_cache(maxsize=1024)
def _shape(variant: Variant, sample_rate: int, samples: int) -> tuple[int, int]:
    rows, frames = variant.compute(Clip(np.zeros(samples, np.float32), sample_rate)).shape
    return rows, frames


def resolve(channel: Channel) -> Variant:
    """The variant that `channel` names; RequestError with what is known where it names none."""
    if channel.name not in REGISTRY:
        raise RequestError(nearest("feature", channel.name, REGISTRY))
    known = REGISTRY[channel.name].parameters
    values: dict[str, Value] = {name: parameter.default for name, parameter in known.items()}
    for key, value in channel.parameters:
        if key not in known:
            raise RequestError(f"{channel.name}: " + nearest("parameter", key, known))
        values[key] = _read(channel.name, known[key], value)
    try:
        parameters.to_arguments(REGISTRY[channel.name].function, values)
    except ValueError as clash:
        raise RequestError(f"{channel.name}: {clash}") from None
    changed = [(key, values[key]) for key in sorted(values) if values[key] != known[key].default]
    stored = Channel(channel.name, _spoken(changed), None).stored
    return Variant(channel.name, tuple(values.items()), stored)


def _read(name: str, parameter: Parameter, value: Value) -> Value:
    try:
        return parameter.read(value)
    except ValueError as reason:
        raise RequestError(f"{name}: {reason}") from None


def _spoken(changed: Iterable[tuple[str, Value]]) -> Any:
    return tuple((key, "none" if value is None else value) for key, value in changed)


__all__ = ["REGISTRY", "Feature", "Impossible", "Variant", "feature", "resolve"]
