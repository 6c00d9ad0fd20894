"""Masks (SpecAugment, Park et al. 2019, arXiv:1904.08779): bands of rows or frames set to 0, the mean."""

import torch

from train.augment.registry import Batch, augment

MASKS = 2  # of each kind, as in SpecAugment's best policies


@augment(default=0.15, most=1.0, kinds=("image",))
def mask(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Masks of time and of frequency together."""
    return freqmask(timemask(batch, strength, generator), strength, generator)


@augment(default=0.15, most=1.0)
def timemask(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Two spans of frames, each up to `strength` of the clip, are set to 0 in every channel."""
    keep = _bands(batch, batch.x.shape[3], strength, generator)
    return batch._replace(x=batch.x * keep[:, None, None, :])


@augment(default=0.15, most=1.0, kinds=("image",))
def freqmask(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Two bands of rows, each up to `strength` of them, are set to 0 where rows are frequencies."""
    keep = _bands(batch, batch.x.shape[2], strength, generator)
    keep = torch.where(batch.where("frequency", "cyclic"), keep[:, None, :, None], 1)
    return batch._replace(x=batch.x * keep)


def _bands(batch: Batch, length: int, strength: float, generator: torch.Generator) -> torch.Tensor:
    """(B, length), 0 within the masked bands and 1 outside, in the type of the batch."""
    place = torch.arange(length, device=batch.x.device)
    keep = torch.ones(len(batch.x), length, device=batch.x.device, dtype=torch.bool)
    for _ in range(MASKS):
        width = (batch.uniform(generator) * (strength * length + 1)).floor()[:, None]
        start = (batch.uniform(generator)[:, None] * (length - width + 1)).floor()
        keep &= (place < start) | (place >= start + width)
    return keep.to(batch.x.dtype)
