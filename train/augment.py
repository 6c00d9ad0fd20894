"""Augmentations: random changes to whole batches, on the batch's device.

`parse_augment("mask,shift,mixup=0.4")` makes an `Augmenter`, which applies the three in
that order. A new augmentation is a function with the decorator `augment`; the command
line, `make models` and the tests then find it.

Conventions. A batch is x (B, C, H, W), float: feature maps, waveforms (B, C, 1,
samples) or vectors (B, D, 1, 1), standardised unless NORM=none. y (B, K) holds soft
targets: class probabilities that sum to 1, or with tags an independent probability for
each class. `channels` describes each channel (`Channels`), whose rows have one of these
meanings:

    "frequency"  rows rise in frequency (stft, mel, cqt, ...)
    "cyclic"     rows are pitch classes (chroma)
    "wave"       samples of a waveform
    "none"       anything else (mfcc, tonnetz, few rows): rows are not masked

All channels of a clip whose columns are time move together; a channel with other
columns, such as modulation frequencies, stays. Random numbers come from the batch's
generator, on the generator's device. A strength of 0 changes nothing. torch is imported
only when a batch is changed, so that AUGMENT= is parsed without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestack.base.errors import RequestError
from featurestack.base.registry import Registry
from featurestack.base.shell import make_command
from featurestack.train.options import parse_number

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor


# number of time masks, and of frequency masks, in SpecAugment's best policies
MASKS = 2


class ChannelProperties(NamedTuple):
    """Properties of a batch's channels.

    A sound that is g dB louder has the standardised values

        zero + 10 ** (g / 20 * exponent) * (x - zero) + g * per_decibel

    Levels in decibels have per_decibel = 1 / the scale of their standardisation,
    amplitudes have exponent 1, powers exponent 2. If both numbers are 0, loudness
    changes nothing.
    """

    axes: tuple[str, ...]  # meaning of each channel's rows
    # (3, 1, C, H, 1): per_decibel, exponent, zero (the standardised value of 0)
    loudness: Tensor
    # whether each channel's columns are frames of time; empty: all are
    timed: tuple[bool, ...] = ()


class Batch(NamedTuple):
    """Clips x (B, C, H, W), soft targets y (B, K), their channels, and a generator."""

    x: Tensor
    y: Tensor
    channels: ChannelProperties
    generator: Generator

    @property
    def source(self) -> dict[str, Any]:
        """The arguments with which torch draws from the batch's generator."""
        return {"generator": self.generator, "device": self.generator.device}

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(B,) a uniform number from [low, high) for each clip."""
        import torch

        numbers = low + (high - low) * torch.rand(len(self.x), **self.source)
        return numbers.to(self.x.device)

    def partners(self) -> Tensor:
        """(B,) each clip's partner in a random permutation, perhaps itself."""
        import torch

        return torch.randperm(len(self.x), **self.source).to(self.x.device)

    def places(self, axis: int) -> Tensor:
        """0, 1, … along an axis of x, on the batch's device."""
        import torch

        length = self.x.shape[axis]
        return torch.arange(length, device=self.x.device)

    def each(self, numbers: Tensor) -> Tensor:
        """`numbers` (B,), one for each clip, as (B, 1, 1, 1) in the type of x."""
        numbers = numbers.to(self.x.dtype)
        return numbers.view(-1, 1, 1, 1)

    def where(self, *axes: str) -> Tensor:
        """(1, C, 1, 1) whether each channel has one of these row axes."""
        return _where(self.channels.axes, axes, self.x.device)

    def in_time(self, x: Tensor) -> Tensor:
        """`x`, with the batch's own values in channels whose columns are not time."""
        timed = self.channels.timed
        if all(timed):
            return x
        return x.where(_where(timed, (True,), x.device), self.x)


# cached: each new copy to a GPU waits for the GPU's work
@functools.lru_cache(maxsize=64)
def _where(
    channels: tuple[str | bool, ...],
    values: tuple[str | bool, ...],
    device: torch.device,
) -> Tensor:
    import torch

    chosen = [channel in values for channel in channels]
    by_channel = torch.tensor(chosen, device=device)
    return by_channel.view(1, -1, 1, 1)


Transform = Callable[[Batch, float], Batch]  # (batch, strength)
AUGMENTS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Augmentation:
    """One augmentation."""

    name: str
    transform: Transform
    default: float  # strength
    maximum: float  # strength
    kinds: tuple[str, ...] = ("image", "wave")  # of the models that can use it


def augment(
    *, default: float, maximum: float, **traits: Any
) -> Callable[[Transform], Transform]:
    """Decorator: register a transform under its name; `traits` are other fields."""

    def entry(transform: Transform) -> Augmentation:
        name = transform.__name__
        return Augmentation(name, transform, default, maximum, **traits)

    return AUGMENTS.register(entry=entry)


@augment(default=1.0, maximum=1.0)
def shift(batch: Batch, strength: float) -> Batch:
    """A circular shift in time by up to `strength` of the clip."""
    length = batch.x.shape[3]
    offset = (batch.uniform() * strength * length).floor().long()
    frames = (batch.places(3) + offset[:, None]) % length
    # `gather` reads the expanded index without a copy, three times as fast as indexing
    # on a CPU
    index = frames[:, None, None, :].expand_as(batch.x)
    return batch._replace(x=batch.in_time(batch.x.gather(3, index)))


@augment(default=0.3, maximum=3.0)
def gain(batch: Batch, strength: float) -> Batch:
    """The level changes by up to 20 dB times `strength`: 0.3 is 6 dB.

    Each channel changes as if the waveform were multiplied: decibels rise, amplitudes
    and powers are multiplied, row 0 of mfcc rises; deltas, chroma, pcen and the like
    stay.
    """
    gains = batch.uniform(-strength, strength)
    decibels = 20 * batch.each(gains)
    per_decibel, exponent, zero = batch.channels.loudness.to(batch.x)
    factor = 10 ** (decibels / 20 * exponent)
    offset = zero * (1 - factor) + decibels * per_decibel
    x = offset.addcmul(batch.x, factor)
    return batch._replace(x=x)


# Masks as in SpecAugment (Park et al. 2019, arXiv:1904.08779): rows or frames become 0,
# the mean of standardised values.


@augment(default=0.15, maximum=1.0, kinds=("image",))
def mask(batch: Batch, strength: float) -> Batch:
    """Both timemask and freqmask."""
    batch = timemask(batch, strength)
    return freqmask(batch, strength)


@augment(default=0.15, maximum=1.0)
def timemask(batch: Batch, strength: float) -> Batch:
    """Two spans of frames, each up to `strength` of the clip, are set to 0 if columns
    are time.
    """
    keep = _outside_masks(batch, 3, strength)
    masked = batch.x * keep[:, None, None, :]
    return batch._replace(x=batch.in_time(masked))


@augment(default=0.15, maximum=1.0, kinds=("image",))
def freqmask(batch: Batch, strength: float) -> Batch:
    """Two bands of rows, each up to `strength` of them, are set to 0 if rows are
    frequencies or chroma.
    """
    keep = _outside_masks(batch, 2, strength)
    keep = keep[:, None, :, None]
    keep = keep.where(batch.where("frequency", "cyclic"), 1)
    return batch._replace(x=batch.x * keep)


def _outside_masks(batch: Batch, axis: int, strength: float) -> Tensor:
    """(B, length of the axis): 0 within the masks and 1 outside."""
    index = batch.places(axis)
    length = len(index)
    keep = index >= 0
    widest = strength * length + 1
    for _ in range(MASKS):
        width = batch.uniform()[:, None] * widest
        width = width.floor()
        latest = length - width + 1
        start = batch.uniform()[:, None] * latest
        start = start.floor()
        before = index < start
        after = index >= start + width
        keep = keep & (before | after)
    return keep.to(batch.x.dtype)


@augment(default=0.5, maximum=1.0, kinds=("wave",))
def polarity(batch: Batch, strength: float) -> Batch:
    """The waveform changes its sign with probability `strength`."""
    chosen = batch.uniform() < strength
    inverted = chosen.view(-1, 1, 1, 1) & batch.where("wave")
    x = batch.x.where(~inverted, -batch.x)
    return batch._replace(x=x)


# Mixtures of two clips: targets are mixed like values.


@augment(default=0.5, maximum=0.5, kinds=("image", "wave", "vector"))
def mixup(batch: Batch, strength: float) -> Batch:
    """Mixup (Zhang et al. 2018): up to `strength` of another clip is blended in.

    The weight is uniform from 0 to `strength`: 0.5 is mixup with alpha = 1.
    """
    weight = batch.uniform(0, strength)
    other = batch.partners()
    partners = batch.x.index_select(0, other)
    blended = batch.x.lerp(partners, batch.each(weight))
    share = weight.to(batch.y.dtype)
    targets = batch.y.lerp(batch.y[other], share[:, None])
    return batch._replace(x=blended, y=targets)


@dataclass(frozen=True)
class Augmenter:
    """Augmentations with their strengths, applied in order."""

    steps: tuple[tuple[Augmentation, float], ...] = ()

    def __str__(self) -> str:
        """The canonical text with every strength: `mask=0.15,mixup=0.4`."""
        return ",".join(f"{entry.name}={strength:g}" for entry, strength in self.steps)

    def __call__(
        self, x: Tensor, y: Tensor, channels: ChannelProperties, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """The augmented x and y, of the same shapes."""
        batch = Batch(x, y, channels, generator)
        for entry, strength in self.steps:
            batch = entry.transform(batch, strength)
        return batch.x, batch.y


def parse_augment(text: str, kind: str = "image") -> Augmenter:
    """The Augmenter for a text such as `mask,shift,mixup=0.4` and a model of this kind;
    "" and "none" give an empty one. Without a kind every augmentation is accepted.

    >>> str(parse_augment("mask,mixup=0.4"))
    'mask=0.15,mixup=0.4'
    """
    if text in ("", "none"):
        return Augmenter()
    steps = []
    for part in text.replace(" ", "").split(","):
        name, _, values = part.partition("=")
        entry = AUGMENTS[name]
        if kind and kind not in entry.kinds:
            raise RequestError(
                f"AUGMENT={name} is not for this model: {make_command('models')}"
                " lists those that are"
            )
        strength = entry.default
        if values:
            refusal = f"{part}: expected a strength from 0 to {entry.maximum:g}"
            strength = parse_number(values, refusal, entry.maximum)
        steps.append((entry, strength))
    return Augmenter(tuple(steps))
