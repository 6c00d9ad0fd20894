"""The registry of models: a name, what it takes, the function that builds it."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from commandline import RequestError, nearest
from train.models import strides
from train.models.strides import Strides

Kind = Literal["image", "wave", "linear"]
Builder = Callable[..., nn.Module]

MODELS: dict[str, "Model"] = {}


@dataclass(frozen=True)
class Model:
    """One entry: `builder(channels, classes, shape, **options)` makes the network, weights not yet drawn."""

    name: str
    kind: Kind
    builder: Builder

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring."""
        return inspect.getdoc(self.builder).splitlines()[0]  # type: ignore[union-attr]

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its default: the builder's keyword-only parameters."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def model(kind: Kind) -> Callable[[Builder], Builder]:
    """Decorator: enter a builder under its own name."""

    def enter(builder: Builder) -> Builder:
        name = builder.__name__
        if name in MODELS:
            raise ValueError(f"model {name!r} is registered twice")
        MODELS[name] = Model(name, kind, builder)
        return builder

    return enter


def resolve(text: str) -> tuple[Model, dict[str, Any]]:
    """The model and its options from `name` or `name@key=value,key=value`.

    >>> entry, options = resolve("aclnet@width=0.5")
    >>> entry.kind, options
    ('wave', {'width': 0.5})
    """
    name, _, rest = text.partition("@")
    if name not in MODELS:
        raise RequestError(nearest("model", name, MODELS))
    entry = MODELS[name]
    return entry, dict(_option(entry, part) for part in rest.split(",") if part)


def _option(entry: Model, part: str) -> tuple[str, Any]:
    key, _, value = part.partition("=")
    if key not in entry.options:
        raise RequestError(nearest(f"option of {entry.name}", key, entry.options))
    kind = type(entry.options[key])
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or not 0 < number < math.inf:
        raise RequestError(f"{entry.name}@{key}={value!r}: expected a positive {kind.__name__}")
    return key, number


def unfit(text: str, features: Iterable[str]) -> str | None:
    """Why this model cannot take these features (plain names, `mel`), and what fits; None where it can."""
    entry, _ = resolve(text)
    names = list(features)
    waves = [name for name in names if name == "waveform"]
    if entry.kind == "wave" and len(waves) < len(names):
        return f"{entry.name} takes waveform alone, not {'+'.join(names)}; {_fitting('image')} take it"
    if entry.kind == "image" and waves:
        return f"{entry.name} takes features with rows and frames, not waveform; {_fitting('wave')} take it"
    return None


def _fitting(kind: Kind) -> str:
    return ", ".join(entry.name for entry in MODELS.values() if entry.kind in (kind, "linear"))


def build(
    name: str,
    channels: int,
    classes: int,
    shape: tuple[int, int],
    *,
    generator: torch.Generator | None = None,
    changed: Strides | None = None,
    **options: Any,
) -> nn.Module:
    """The network called `name` (options in the name or as keywords), on the CPU, in training mode.

    shape: (rows, frames) of its input. Weights are drawn from `generator` (torch's own by default).
    changed: strides as `changed_strides` once gave them, for weights trained so; None for the rule of today.
    """
    entry, named = resolve(name)
    network = entry.builder(channels, classes, shape, **{**named, **options})
    if changed is None:
        changed = changed_strides(name, channels, classes, shape, **options)
    strides.apply(network, changed)
    initialise(network, generator)
    return network


def changed_strides(
    name: str, channels: int, classes: int, shape: tuple[int, int], **options: Any
) -> dict[str, list[int]]:
    """The strides that `build` lowers in this network at this shape, by the rule of train/models/strides.py.

    RequestError where the network cannot take the shape.

    >>> changed_strides("cnn8", 3, 50, (64, 216))
    {'layers.7.0': [1, 1]}
    """
    entry, named = resolve(name)
    if entry.kind == "linear":
        return {}
    try:
        return dict(_shortened(entry.builder, channels, classes, shape, tuple({**named, **options}.items())))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        size = "x".join(map(str, shape))
        raise RequestError(f"{name} cannot take {size} ({reason}): give a larger GRID") from None


@cache
def _shortened(
    builder: Builder,
    channels: int,
    classes: int,
    shape: tuple[int, int],
    options: tuple[tuple[str, Any], ...],
) -> dict[str, list[int]]:
    """Found once for every fold, and every run of a sweep."""
    with torch.random.fork_rng(devices=()):
        network = builder(channels, classes, shape, **dict(options))
    return strides.shortened(network, (channels, *shape))


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every convolution and linear layer anew: He et al. 2015 for ReLU networks, zero biases."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
