"""Augmentations: random changes of whole batches, on the batch's device.

`parse_augment("mask,shift,mixup=0.4")` makes an `Augmenter`, which applies the three in
that order. A new augmentation is a function under the decorator `augment`: the command
line, `train list` and tests find it.

Conventions. A batch is x (B, C, H, W), float: feature maps, waveforms (B, C, 1,
samples) or vectors (B, D, 1, 1), standardised unless NORM=none. y (B, K) holds soft
targets: class probabilities that sum to 1, with tags an independent probability for
each class. `channels` describes each channel (`Channels`). Its rows have one of these
meanings:

    "frequency"  rows rise in frequency (stft, mel, cqt, ...)
    "cyclic"     rows are pitch classes (chroma): pitch rotates them
    "wave"       samples of a waveform
    "none"       anything else (mfcc, tonnetz, few rows): rows are neither moved nor
                 masked

The channels of a clip whose columns are time move together; a channel with other
columns (modulation frequencies) stays. Random numbers come from the batch's generator,
on the generator's device. A strength of 0 changes nothing. torch is imported only when
a batch is changed: AUGMENT= is parsed without it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.commandline.registry import Registry, first_sentence
from featurestack.commandline.spelling import make_command
from featurestack.train.options import parse_grid, parse_number

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

EVERY_KIND = ("image", "wave", "vector")
FILTER_BANDS = 4  # bands of filteraugment; the paper draws 3 to 6
# number of time masks, and of frequency masks, in SpecAugment's best policies
MASKS = 2
# octaves from cqt's first row to its last (mel has about nine); a cyclic channel has
# one
OCTAVES = 7
NEPERS = math.log(10) / 10  # natural logarithm of a power in a decibel
SILENCE = 1e-4  # level below which a standardised waveform counts as silent
# spare noise values, so that two clips of a batch rarely get the same window
NOISE_OFFSETS = 1 << 16


class Channels(NamedTuple):
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
    """Clips x (B, C, H, W), soft targets y (B, K), properties of the channels, source
    of random numbers.
    """

    x: Tensor
    y: Tensor
    channels: Channels
    generator: Generator

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """One uniform number from [low, high) for each clip: (B,), on the batch's
        device.
        """
        import torch

        draw = torch.rand(
            len(self.x),
            generator=self.generator,
            device=self.generator.device,
        )
        numbers = low + (high - low) * draw
        return numbers.to(self.x.device)

    def integers(self, limit: int) -> Tensor:
        """One whole number from 0 to `limit` - 1 for each clip: (B,), on the batch's
        device.
        """
        numbers = self.uniform() * limit
        return numbers.floor().long()

    def partners(self) -> Tensor:
        """Each clip's partner in a random permutation, perhaps itself: (B,), on the
        batch's device.
        """
        import torch

        draw = torch.randperm(
            len(self.x),
            generator=self.generator,
            device=self.generator.device,
        )
        return draw.to(self.x.device)

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
        """Whether each channel has one of these row axes: (1, C, 1, 1), bool, on the
        batch's device.
        """
        return _where(self.channels.axes, axes, self.x.device)

    def in_time(self, x: Tensor) -> Tensor:
        """`x`, but the batch's own values in channels whose columns are not time."""
        return keep_untimed(self.channels.timed, x, self.x)

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Batch:
        """The batch with values `x` and mixed targets: clips `other` (B,) have the
        share `weight` (B,).
        """
        share = weight.to(self.y.dtype)
        y = self.y.lerp(self.y[other], share[:, None])
        return self._replace(x=x, y=y)


def keep_untimed(timed: tuple[bool, ...], x: Tensor, still: Tensor) -> Tensor:
    """`x`, but `still` in channels whose columns are not time."""
    if all(timed):
        return x
    moving = _where(timed, (True,), x.device)
    return x.where(moving, still)


# cached: each new copy to a GPU waits for the GPU's work
@functools.lru_cache(maxsize=64)
def _where(
    channels: tuple[str | bool, ...],
    wanted: tuple[str | bool, ...],
    device: torch.device,
) -> Tensor:
    import torch

    chosen = [channel in wanted for channel in channels]
    by_channel = torch.tensor(chosen, device=device)
    return by_channel.view(1, -1, 1, 1)


Shape = tuple[int, int]  # rows, frames
Strength = float | Shape
Transform = Callable[..., Batch]  # (batch, strength)
Cut = Callable[[Shape, Strength], Shape]  # (shape, strength) -> what is left
AUGMENTS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Augmentation:
    """One augmentation; `augment` describes the fields."""

    name: str
    transform: Transform
    default: float
    maximum: float
    kinds: tuple[str, ...] = ("image", "wave")
    circular: bool = False
    cut: Cut | None = None

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return first_sentence(self.transform)


def augment(
    *,
    default: float,
    maximum: float,
    **traits: Any,
) -> Callable[[Transform], Transform]:
    """Decorator: register a function (batch, strength) -> batch under its own name.

    default, maximum  default and greatest strength
    kinds             kinds of models that it serves; by default image and wave
    circular          whether it is only a circular shift in time
    cut               a function of a shape and the strength that gives the (rows,
                      frames) left

    For example

        @augment(default=0.5, maximum=1.0)
        def reverse(batch, strength):
            "Time runs backwards with probability `strength`."
            backwards = (batch.uniform() < strength).view(-1, 1, 1, 1)
            return batch._replace(x=batch.x.flip(3).where(backwards, batch.x))
    """

    def entry(transform: Transform) -> Augmentation:
        name = transform.__name__
        return Augmentation(name, transform, default, maximum, **traits)

    return AUGMENTS.register(entry=entry)


# Changes in time: all channels whose columns are time move alike.


@augment(default=1.0, maximum=1.0, circular=True)
def shift(batch: Batch, strength: float) -> Batch:
    """A circular shift in time by up to `strength` of the clip."""
    length = batch.x.shape[3]
    offset = batch.uniform() * strength * length
    offset = offset.floor().long()
    frames = (batch.places(3) + offset[:, None]) % length
    shifted = take_frames(batch.x, frames)
    return batch._replace(x=batch.in_time(shifted))


@augment(default=0.2, maximum=0.5)
def stretch(batch: Batch, strength: float) -> Batch:
    """Faster or slower by up to `strength`; a clip that ends early goes on with its
    beginning.

    On a waveform it changes the pitch with the speed.
    """
    length = batch.x.shape[3]
    speed = batch.uniform(1 - strength, 1 + strength)
    speed = speed.double()  # for the places of a long waveform
    position = speed[:, None] * batch.places(3)
    left = position.floor().long()
    fraction = (position - left).to(batch.x.dtype)
    fraction = fraction[:, None, None, :]
    before = take_frames(batch.x, left % length)
    after = take_frames(batch.x, (left + 1) % length)
    stretched = before.lerp_(after, fraction)
    return batch._replace(x=batch.in_time(stretched))


def take_frames(x: Tensor, index: Tensor) -> Tensor:
    """Frames of x (B, C, H, W) at each clip's own places (B, L): (B, C, H, L).

    `gather` reads the expanded index without a copy: indexing with two tensors takes
    three times as long on a CPU.
    """
    clips, channels, rows, _ = x.shape
    index = index[:, None, None, :]
    index = index.expand(clips, channels, rows, -1)  # the same for all rows
    return x.gather(3, index)


# Changes in frequency, for rows that are frequencies, and the crop, which cuts rows and
# frames.


@augment(default=0.05, maximum=0.5, kinds=("image",))
def pitch(batch: Batch, strength: float) -> Batch:
    """Up or down by up to `strength` of the rows; chroma rotates by the same interval,
    mfcc stays.
    """
    height = batch.x.shape[2]
    share = batch.uniform(-strength, strength)
    steps = share[:, None, None] * height
    rows = batch.places(2)
    rising = (rows - steps.round()).long()
    rising = rising.clamp(0, height - 1)  # the edge row fills the gap
    rotation = (steps * OCTAVES).round()
    rotated = (rows - rotation).long() % height
    spectra = batch.where("frequency")[..., 0]
    cyclic = batch.where("cyclic")[..., 0]
    source = rows.where(~spectra, rising)
    source = source.where(~cyclic, rotated)  # (B, C, H)
    return batch._replace(x=take_rows(batch.x, source))


def crop_shape(shape: Shape, strength: Strength) -> Shape:
    """The rows and frames that a crop of this strength leaves of `shape`, at least one
    each.
    """
    height, width = shape
    if isinstance(strength, tuple):
        rows, frames = strength
    else:
        rows = round(height * (1 - strength))
        frames = round(width * (1 - strength))
    rows = max(1, min(rows, height))
    frames = max(1, min(frames, width))
    return rows, frames


@augment(default=0.11, maximum=0.9, cut=crop_shape)
def crop(batch: Batch, strength: Strength) -> Batch:
    """A window of 1 - `strength` of the rows and frames (or of the size given) at a
    random place.

    Rows that are not frequencies, and columns that are not time, are cut to their
    centre, so that a row means the same coefficient in every clip.
    """
    height, width = batch.x.shape[2:]
    rows, frames = crop_shape((height, width), strength)
    left = batch.integers(width - frames + 1)
    top = batch.integers(height - rows + 1)
    spectra = batch.where("frequency")[..., 0]
    middle_row = (height - rows) // 2
    first_row = top[:, None, None].where(spectra, middle_row)  # (B, C, 1)
    kept_rows = first_row + batch.places(2)[:rows]
    x = take_rows(batch.x, kept_rows)
    first_frame = left[:, None]
    kept_frames = first_frame + batch.places(3)[:frames]
    window = take_frames(x, kept_frames)
    middle = centre(x, (rows, frames))
    x = keep_untimed(batch.channels.timed, window, middle)
    return batch._replace(x=x)


def take_rows(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (B, C, H, W) at each clip's and channel's own places (B, C, L): (B, C,
    L, W).

    All rows form one table and are copied whole: `gather` takes five times as long on a
    CPU.
    """
    import torch

    clips, channels, height, width = x.shape
    table = x.reshape(-1, width)
    planes = torch.arange(clips * channels, device=x.device)
    first = planes.view(clips, channels, 1) * height
    places = first + index
    taken = table.index_select(0, places.flatten())
    return taken.view(clips, channels, -1, width)


def centre(x: Tensor, size: Shape) -> Tensor:
    """The middle of x (B, C, H, W): (B, C, *size), a view."""
    if x.shape[2:] == size:  # the export to ONNX fails if a 1x1 input is sliced
        return x
    rows, frames = size
    top = (x.shape[2] - rows) // 2
    left = (x.shape[3] - frames) // 2
    return x[:, :, top : top + rows, left : left + frames]


# Masks as in SpecAugment (Park et al. 2019, arXiv:1904.08779): rows or frames become 0,
# the mean of standardised values.


@augment(default=0.15, maximum=1.0, kinds=("image",))
def mask(batch: Batch, strength: float) -> Batch:
    """Masks of time and of frequency together."""
    return freqmask(timemask(batch, strength), strength)


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
    """(B, length of the axis), 0 within the masks and 1 outside, in the type of the
    batch.
    """
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


# Changes of values: places stay.


@augment(default=0.3, maximum=3.0)
def gain(batch: Batch, strength: float) -> Batch:
    """Louder or softer by up to 20 dB times `strength`: 0.3 is 6 dB.

    Each channel changes as if the waveform were multiplied: decibels rise, amplitudes
    and powers are multiplied, row 0 of mfcc rises; deltas, chroma, pcen and the like
    stay.
    """
    gains = batch.uniform(-strength, strength)
    decibels = 20 * batch.each(gains)
    return louder(batch, decibels)


def louder(batch: Batch, decibels: Tensor) -> Batch:
    """The batch as if the sound were louder by `decibels` (B, 1 or C, 1 or H, 1)."""
    per_decibel, exponent, zero = batch.channels.loudness.to(batch.x)
    factor = 10 ** (decibels / 20 * exponent)
    offset = zero * (1 - factor) + decibels * per_decibel
    x = offset.addcmul(batch.x, factor)
    return batch._replace(x=x)


@augment(default=0.3, maximum=3.0, kinds=("image",))
def filteraugment(batch: Batch, strength: float) -> Batch:
    """FilterAugment (Nam et al. 2022, arXiv:2110.03282): gains of up to 20 dB times
    `strength` by band.

    Random rows get random gains, as in another room or from another microphone; the
    decibels of the rows between them are interpolated. Only channels whose rows are
    frequencies change.
    """
    import torch

    rows = batch.places(2)
    height = len(rows)
    inner = [batch.uniform() * height for _ in range(FILTER_BANDS - 1)]
    places = torch.stack(inner, dim=1)
    places = places.sort(dim=1).values
    places = torch.nn.functional.pad(places, (1, 1))
    places[:, -1] = height - 1
    edges = places.split(1, dim=1)  # (B, 1) each, from the first row to the last
    gains = [20 * batch.uniform(-strength, strength)[:, None] for _ in edges]
    decibels = gains[0]  # (B, H) in the end
    for band in range(FILTER_BANDS):
        low = edges[band]
        high = edges[band + 1]
        width = (high - low).clamp_min(1)
        share = (rows - low) / width
        rise = gains[band + 1] - gains[band]
        decibels = decibels + rise * share.clamp(0, 1)
    decibels = decibels.to(batch.x.dtype)
    decibels = decibels[:, None, :, None]
    decibels = decibels.where(batch.where("frequency"), 0)
    return louder(batch, decibels)


@augment(default=0.2, maximum=3.0, kinds=EVERY_KIND)
def noise(batch: Batch, strength: float) -> Batch:
    """White noise of up to `strength` standard deviations is added.

    Drawing a normal number costs fifty times as much as adding it. Therefore the clips
    share one row of numbers, and each takes a window of it at random.
    """
    import torch

    values = batch.x[0].numel()
    numbers = torch.randn(
        values + NOISE_OFFSETS,
        generator=batch.generator,
        device=batch.generator.device,
    )
    numbers = numbers.to(batch.x)
    start = batch.integers(NOISE_OFFSETS)
    windows = numbers.unfold(0, values, 1)[start]
    windows = windows.view_as(batch.x)
    level = batch.each(batch.uniform(0, strength))
    noisy = batch.x.addcmul(windows, level)
    return batch._replace(x=noisy)


@augment(default=0.5, maximum=1.0, kinds=("wave",))
def polarity(batch: Batch, strength: float) -> Batch:
    """The waveform changes its sign with probability `strength`."""
    chosen = batch.uniform() < strength
    inverted = chosen.view(-1, 1, 1, 1) & batch.where("wave")
    x = batch.x.where(~inverted, -batch.x)
    return batch._replace(x=x)


# Mixtures of two clips: targets are mixed like values.


@augment(default=0.5, maximum=0.5, kinds=EVERY_KIND)
def mixup(batch: Batch, strength: float) -> Batch:
    """Mixup (Zhang et al. 2018): up to `strength` of another clip is blended in.

    The weight is uniform from 0 to `strength`: 0.5 is mixup with alpha = 1.
    """
    weight = batch.uniform(0, strength)
    other = batch.partners()
    partners = batch.x.index_select(0, other)
    blended = batch.x.lerp(partners, batch.each(weight))
    return batch.mixed(blended, other, weight)


@augment(default=0.5, maximum=0.5, kinds=("image",))
def mixpower(batch: Batch, strength: float) -> Batch:
    """Mixup of powers: levels in decibels are mixed as the sound of both clips would
    be.

    A channel of decibels by frequency is mixed before its logarithm, so that a loud
    event stays where the other clip is silent. Other channels are blended as in mixup,
    which is also the weight's distribution.
    """
    import torch

    weight = batch.uniform(0, strength)
    other = batch.partners()
    partners = batch.x.index_select(0, other)
    blended = batch.x.lerp(partners, batch.each(weight))
    per_decibel = batch.channels.loudness[0].to(batch.x)  # (1, C, H, 1)
    levels = batch.where("frequency") & (per_decibel > 0)
    nepers = NEPERS / per_decibel.where(levels, 1)  # of power in a standardised unit
    share = batch.each(weight)
    own = batch.x * nepers + torch.log1p(-share)
    partner = partners * nepers + share.log()
    mixed = torch.logaddexp(own, partner) / nepers
    return batch.mixed(mixed.where(levels, blended), other, weight)


@augment(default=0.5, maximum=0.5, kinds=("wave",))
def between(batch: Batch, strength: float) -> Batch:
    """Between-class mixing (Tokozume et al. 2018): up to `strength` of the loudness is
    another clip's.

    The values are weighted by loudness: in a mix at 0.5 a soft and a loud clip are
    equally loud. The power of a mix of uncorrelated clips lies between theirs. A silent
    clip is neither changed nor added to another.
    """
    from torch.nn.functional import avg_pool1d

    other = batch.partners()
    power = batch.x.square().mean((1, 2))  # (B, samples)
    fiftieth = max(1, power.shape[1] // 50)
    powers = avg_pool1d(power[:, None], fiftieth)
    loudest = powers.amax((1, 2))
    level = loudest.sqrt()  # (B,) root mean square of the loudest fiftieth

    silent = level < SILENCE
    itself = other == batch.places(0)
    unmixed = itself | silent | silent[other]
    share = batch.uniform(0, strength)
    share = share.to(batch.x.dtype)
    share = share.masked_fill(unmixed, 0)

    level = level.clamp_min(SILENCE)
    own_weight = (1 - share) / level
    other_weight = share / level[other]
    norm = own_weight.hypot(other_weight)
    own = batch.x * batch.each(own_weight / norm)
    partners = batch.x.index_select(0, other)
    partners = partners * batch.each(other_weight / norm)
    return batch.mixed(own + partners, other, share)


@augment(default=0.5, maximum=0.5)
def cutmix(batch: Batch, strength: float) -> Batch:
    """CutMix (Yun et al. 2019) along time: up to `strength` of the frames come from
    another clip.

    The frames keep their place in time; every channel whose columns are time gets the
    same frames.
    """
    length = batch.x.shape[3]
    longest = strength * length + 1
    span = batch.uniform()[:, None] * longest
    span = span.floor()
    start = batch.uniform()[:, None] * length
    start = start.floor()
    position = (batch.places(3) - start) % length  # goes round
    inside = position < span  # (B, W)
    other = batch.partners()
    partners = batch.x.index_select(0, other)
    inside_x = inside[:, None, None, :]
    x = partners.where(inside_x, batch.x)
    share = inside.to(batch.y.dtype).mean(1)
    return batch.mixed(batch.in_time(x), other, share)


@augment(default=0.2, maximum=0.9, kinds=("image",))
def dropchannel(batch: Batch, strength: float) -> Batch:
    """Each channel of a clip becomes 0 with probability `strength`; a clip that would
    lose all keeps all.

    A network then cannot rely on one channel of a stack alone.
    """
    import torch

    clips, channels = batch.x.shape[:2]
    draw = torch.rand(
        clips,
        channels,
        generator=batch.generator,
        device=batch.generator.device,
    )
    kept = draw.to(batch.x.device) >= strength
    kept = kept | ~kept.any(1, keepdim=True)
    return batch._replace(x=batch.x * kept[:, :, None, None])


@dataclass(frozen=True)
class Augmenter:
    """Augmentations with their strengths, applied in order; if there are none, a batch
    stays as it is.
    """

    steps: tuple[tuple[Augmentation, Strength], ...] = ()

    @property
    def only_shifts(self) -> bool:
        """Whether every augmentation is only a circular shift in time; True if there is
        none.
        """
        return all(entry.circular for entry, _ in self.steps)

    def __str__(self) -> str:
        """The canonical text, every strength written out to six digits:
        `mask=0.15,mixup=0.4`.
        """
        texts = []
        for entry, strength in self.steps:
            if isinstance(strength, tuple):
                rows, frames = strength
                texts.append(f"{entry.name}={rows}x{frames}")
            else:
                texts.append(f"{entry.name}={strength:g}")
        return ",".join(texts)

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        channels: Channels,
        generator: Generator,
    ) -> tuple[Tensor, Tensor]:
        """The augmented batch: x (B, C, H', W'), smaller only if an augmentation cuts,
        and y (B, K).
        """
        batch = Batch(x, y, channels, generator)
        for entry, strength in self.steps:
            batch = entry.transform(batch, strength)
        return batch.x, batch.y


def parse_augment(text: str, kind: str = "image") -> Augmenter:
    """The Augmenter for `mask,shift,mixup=0.4` and a model of this kind; "" and "none"
    give an empty one.

    RequestError for an unknown name, a name of another kind of model, or a wrong
    strength.

    >>> str(parse_augment("mask,mixup=0.4"))
    'mask=0.15,mixup=0.4'
    """
    if text in ("", "none"):
        return Augmenter()
    steps = []
    for part in text.replace(" ", "").split(","):
        name, _, given = part.partition("=")
        entry = AUGMENTS[name]
        if kind not in entry.kinds:
            raise RequestError(
                f"AUGMENT={name} is not for this model: {make_command('train list')}"
                " shows which are"
            )
        strength: Strength = entry.default
        if entry.cut and "x" in given:  # a size, 100x384
            strength = parse_grid(given, name)
        elif given:
            refusal = f"{part}: expected a strength from 0 to {entry.maximum:g}"
            strength = parse_number(given, refusal, entry.maximum)
        steps.append((entry, strength))
    return Augmenter(tuple(steps))


def trained_shape(augmenter: Augmenter, shape: Shape) -> Shape:
    """The network's rows and frames for a clip of `shape`: fewer if the augmenter
    crops.
    """
    for entry, strength in augmenter.steps:
        if entry.cut:
            shape = entry.cut(shape, strength)
    return shape


def views(
    x: Tensor,
    augmenter: Augmenter,
    count: int = 1,
    timed: Sequence[bool] = (),
) -> Iterator[Tensor]:
    """`count` views of the clips x (B, C, H, W), each of the size that the model was
    trained on.

    One view is the whole clip, or its centre if the augmenter crops. Several are evenly
    spaced circular shifts in time, or crops spread evenly over time, at the rows'
    centre. Channels that are not `timed` keep the centre; if `timed` is empty, all
    channels are.
    """
    # sizes are tensors while a network is exported
    whole = int(x.shape[2]), int(x.shape[3])
    rows, frames = trained_shape(augmenter, whole)
    spare = whole[1] - frames
    middle = centre(x, (rows, frames))
    if count == 1:
        yield middle
        return
    for i in range(count):
        if spare:
            left = round(spare * i / (count - 1))
            moved = x[..., left : left + frames]
        else:
            moved = x.roll(round(frames * i / count), dims=3)
        view = centre(moved, (rows, frames))
        yield keep_untimed(tuple(timed), view, middle)


def preview(
    x: Tensor,
    augmenter: Augmenter,
    channels: Channels,
    generator: Generator,
) -> dict[str, np.ndarray]:
    """The clips x (n, C, H, W) before and after each augmentation, for the report.

    `augment` (k,) has the augmentations in order. `before` (n, C, H, W) float16 is the
    model's input without them, `after_<i>` with the i-th alone, `together` with all in
    order. Partners for mixing are drawn among these clips.
    """
    import torch

    targets = torch.eye(len(x), device=x.device)
    drawn = {}
    for i, step in enumerate(augmenter.steps):
        drawn[f"after_{i}"] = Augmenter((step,))
    drawn["before"] = Augmenter()
    drawn["together"] = augmenter
    names = str(augmenter).split(",")
    arrays = {"augment": np.array(names)}
    for name, steps in drawn.items():
        values, _ = steps(x, targets, channels, generator)
        values = values.half().cpu()
        arrays[name] = values.numpy()
    return arrays
