"""The augmentations that AUGMENT names; `train.augment` has their conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestack.train.augment import (
    EVERY_KIND,
    Batch,
    augment,
    take_frames,
)

if TYPE_CHECKING:
    from torch import Tensor

# number of time masks, and of frequency masks, in SpecAugment's best policies
MASKS = 2
# octaves from cqt's first row to its last (mel has about nine); a cyclic channel has
# one
OCTAVES = 7
# spare noise values, so that two clips of a batch rarely get the same window
NOISE_OFFSETS = 1 << 16


# Changes in time: all channels whose columns are time move alike.


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


# A change in frequency, for rows that are frequencies.


@augment(default=0.05, maximum=0.5, kinds=("image",))
def pitch(batch: Batch, strength: float) -> Batch:
    """Up or down by up to `strength` of the rows; chroma rotates by the same interval,
    mfcc stays.
    """
    height = batch.x.shape[2]
    share = batch.uniform(-strength, strength)
    steps = share[:, None, None] * height
    rows = batch.places(2)
    rising = rows - steps.round()
    rising = rising.long()
    rising = rising.clamp(0, height - 1)  # the edge row fills the gap
    rotation = (steps * OCTAVES).round()
    rotated = rows - rotation
    rotated = rotated.long() % height
    spectra = batch.where("frequency")[..., 0]
    cyclic = batch.where("cyclic")[..., 0]
    source = rows.where(~spectra, rising)
    source = source.where(~cyclic, rotated)  # (B, C, H)
    return batch._replace(x=take_rows(batch.x, source))


def take_rows(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (B, C, H, W) at each clip's and channel's own places (B, C, L): (B, C,
    L, W). Whole rows are copied: `gather` takes five times as long on a CPU.
    """
    import torch

    clips, channels, height, width = x.shape
    table = x.reshape(-1, width)
    planes = torch.arange(clips * channels, device=x.device)
    first = planes.view(clips, channels, 1) * height
    places = first + index
    taken = table.index_select(0, places.flatten())
    return taken.view(clips, channels, -1, width)


# Masks as in SpecAugment (Park et al. 2019, arXiv:1904.08779): rows or frames become 0,
# the mean of standardised values.


@augment(default=0.15, maximum=1.0, kinds=("image",))
def mask(batch: Batch, strength: float) -> Batch:
    """Masks of time and of frequency together."""
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


# Changes of values: places stay.


@augment(default=0.2, maximum=3.0, kinds=EVERY_KIND)
def noise(batch: Batch, strength: float) -> Batch:
    """White noise of up to `strength` standard deviations is added.

    Drawing a normal number costs fifty times as much as adding it: the clips share one
    row of numbers, and each takes a window of it at random.
    """
    import torch

    values = batch.x[0].numel()
    numbers = torch.randn(values + NOISE_OFFSETS, **batch.source)
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
    share = weight.to(batch.y.dtype)
    targets = batch.y.lerp(batch.y[other], share[:, None])
    return batch._replace(x=blended, y=targets)
