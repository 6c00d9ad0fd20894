"""The registry of augmentations and the Augmenter that applies a list of them.

Conventions. A batch is x (B, C, H, W), rows by frames, or (B, C, 1, samples) for waveforms, float,
normalised; y (B, K) holds class shares that sum to 1; `axes` says of each channel what its rows are:

    "frequency"  rows rise in frequency, values are in decibels or alike (stft, mel, cqt, ...)
    "cyclic"     rows are pitch classes (chroma): a shift goes round
    "wave"       samples of a waveform
    "none"       anything else (mfcc, tonnetz, single rows): rows are never moved or masked

All channels of a clip move together in time. Random numbers come from the generator that is passed in,
drawn on its own device; only a few a clip are drawn, so a CPU generator also serves batches on a GPU.
A strength of 0 changes nothing.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from commandline import RequestError, nearest


class Batch(NamedTuple):
    """Clips x (B, C, H, W), their class shares y (B, K), the row axis of each channel."""

    x: torch.Tensor
    y: torch.Tensor
    axes: tuple[str, ...]

    def uniform(self, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """One number a clip, evenly from [low, high): (B,), on the batch's device."""
        draw = torch.rand(len(self.x), generator=generator, device=generator.device)
        return (low + (high - low) * draw).to(self.x.device)

    def partners(self, generator: torch.Generator) -> torch.Tensor:
        """For each clip the number of another one, each clip once: (B,), on the batch's device."""
        draw = torch.randperm(len(self.x), generator=generator, device=generator.device)
        return draw.to(self.x.device)

    def where(self, *axes: str) -> torch.Tensor:
        """Which channels have rows of one of these kinds: (1, C, 1, 1), bool, on the batch's device."""
        return _where(self.axes, axes, self.x.device)


@functools.lru_cache(maxsize=64)  # made once: a copy to a GPU would wait for all that it has still to do
def _where(channels: tuple[str, ...], axes: tuple[str, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor([axis in axes for axis in channels], device=device).view(1, -1, 1, 1)


Strength = float | tuple[int, int]
Transform = Callable[..., Batch]  # (batch, strength, generator)
AUGMENTS: dict[str, "Augment"] = {}


@dataclass(frozen=True)
class Augment:
    """One entry: what it does, its default strength, the greatest one, the kinds of model it serves."""

    name: str
    transform: Transform
    default: float
    most: float
    kinds: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return inspect.getdoc(self.transform).splitlines()[0]  # type: ignore[union-attr]

    def strength(self, text: str) -> Strength:
        """A number from 0 to `most`; for crop also a size, 100x384."""
        try:
            if self.name == "crop" and "x" in text:
                rows, frames = (int(part) for part in text.split("x"))
                if rows > 0 and frames > 0:
                    return rows, frames
            elif 0 <= float(text) <= self.most:
                return float(text)
        except ValueError:
            pass
        size = " or a size as 100x384" if self.name == "crop" else ""
        raise RequestError(f"{self.name}={text}: expected a strength from 0 to {self.most:g}{size}")


def augment(
    *, default: float, most: float, kinds: tuple[str, ...] = ("image", "wave")
) -> Callable[[Transform], Transform]:
    """Decorator: enter a function (batch, strength, generator) -> batch under its own name."""

    def enter(transform: Transform) -> Transform:
        name = transform.__name__
        if name in AUGMENTS:
            raise ValueError(f"augmentation {name!r} is registered twice")
        AUGMENTS[name] = Augment(name, transform, default, most, kinds)
        return transform

    return enter


@dataclass(frozen=True)
class Augmenter:
    """Augmentations with their strengths, applied in order. Empty, it hands a batch back as it is."""

    steps: tuple[tuple[Augment, Strength], ...] = ()

    def __str__(self) -> str:
        """The canonical text, every strength written out: parse(str(a)) equals a."""
        return ",".join(f"{entry.name}={_text(strength)}" for entry, strength in self.steps)

    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, axes: Sequence[str], generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch augmented: x (B, C, H', W'), smaller only with crop, and y (B, K)."""
        batch = Batch(x, y, tuple(axes))
        for entry, strength in self.steps:
            batch = entry.transform(batch, strength, generator)
        return batch.x, batch.y


def _text(strength: Strength) -> str:
    return "{}x{}".format(*strength) if isinstance(strength, tuple) else f"{strength:g}"


def parse(text: str, kind: str = "image") -> Augmenter:
    """The Augmenter for `mask,shift,mix=0.5` and a model of this kind; "" and "none" give an empty one.

    >>> str(parse("mask,mix=0.4"))
    'mask=0.15,mix=0.4'
    """
    steps = []
    for part in text.replace(" ", "").split(",") if text not in ("", "none") else []:
        name, _, strength = part.partition("=")
        if name not in AUGMENTS:
            raise RequestError(nearest("augmentation", name, AUGMENTS))
        entry = AUGMENTS[name]
        if kind not in entry.kinds:
            fitting = ", ".join(other.name for other in AUGMENTS.values() if kind in other.kinds)
            raise RequestError(f"{name} is no augmentation for this model; these are: {fitting or 'none'}")
        steps.append((entry, entry.strength(strength) if strength else entry.default))
    return Augmenter(tuple(steps))
