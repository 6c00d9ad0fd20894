"""Movements in frequency, of the channels that have it, and the crop, which cuts rows and frames."""

import torch

from train.augment.frames import take_frames
from train.augment.registry import Batch, Strength, augment

OCTAVES = 7  # of cqt from its first to its last row (mel has about nine): a cyclic channel holds one


@augment(default=0.05, most=0.5, kinds=("image",))
def pitch(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Up or down by up to `strength` of the rows; chroma goes round, mfcc and the like stay."""
    height = batch.x.shape[2]
    steps = batch.uniform(generator, -strength, strength)[:, None, None] * height
    place = torch.arange(height, device=batch.x.device)
    rising = (place - steps.round()).long().clamp(0, height - 1)  # the edge row fills what is left
    around = (place - (steps * OCTAVES).round()).long() % height
    spectra, cyclic = batch.where("frequency")[..., 0], batch.where("cyclic")[..., 0]
    return batch._replace(x=take_rows(batch.x, place.where(~spectra, rising).where(~cyclic, around)))


@augment(default=0.11, most=0.9)
def crop(batch: Batch, strength: Strength, generator: torch.Generator) -> Batch:
    """A window of 1 - `strength` of the rows and frames (or of the size given) at a random place.

    Rows that are no frequencies keep the centre: coefficient 5 stays coefficient 5.
    """
    height, width = batch.x.shape[2:]
    rows, frames = window((height, width), strength)
    left = (batch.uniform(generator) * (width - frames + 1)).floor().long()
    top = (batch.uniform(generator) * (height - rows + 1)).floor().long()
    top = top[:, None, None].where(batch.where("frequency")[..., 0], (height - rows) // 2)  # (B, C, 1)
    x = take_rows(batch.x, top + torch.arange(rows, device=top.device))
    return batch._replace(x=take_frames(x, left[:, None] + torch.arange(frames, device=left.device)))


def take_rows(x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Rows at each clip's and channel's own places (B, C, L) from x (B, C, H, W): (B, C, L, W).

    As rows of one table, each copied whole: `gather` takes five times as long on a CPU.
    """
    clips, channels, height, width = x.shape
    first = torch.arange(clips * channels, device=x.device).view(clips, channels, 1) * height
    taken = x.reshape(-1, width).index_select(0, (first + place).flatten())
    return taken.view(clips, channels, -1, width)


def window(shape: tuple[int, int], strength: Strength) -> tuple[int, int]:
    """The rows and frames that a crop of this strength leaves of `shape`; one row stays one."""
    rows, frames = strength if isinstance(strength, tuple) else (round(n * (1 - strength)) for n in shape)
    return max(1, min(rows, shape[0])), max(1, min(frames, shape[1]))


def centre(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The middle of x (B, C, H, W): (B, C, *size), a view."""
    top, left = (x.shape[2] - size[0]) // 2, (x.shape[3] - size[1]) // 2
    return x[:, :, top : top + size[0], left : left + size[1]]
