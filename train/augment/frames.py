"""Movements in time: every channel of a clip moves alike."""

import torch

from train.augment.registry import Batch, augment


@augment(default=1.0, most=1.0)
def shift(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """A circular shift in time by up to `strength` of the clip."""
    length = batch.x.shape[3]
    offset = (batch.uniform(generator) * strength * length).floor().long()
    place = torch.arange(length, device=batch.x.device)
    return batch._replace(x=take(batch.x, (place + offset[:, None]) % length, dim=3))


@augment(default=0.2, most=0.5)
def stretch(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Faster or slower by up to `strength`: frames are resampled, what is short is filled by its beginning.

    On a waveform it changes the pitch with the speed.
    """
    length = batch.x.shape[3]
    speed = batch.uniform(generator, 1 - strength, 1 + strength).double()
    place = speed[:, None] * torch.arange(length, device=batch.x.device)  # float64: a long waveform's samples
    left = place.floor().long()
    share = (place - left).to(batch.x.dtype)[:, None, None, :]
    before, after = take(batch.x, left % length, dim=3), take(batch.x, (left + 1) % length, dim=3)
    return batch._replace(x=before.lerp_(after, share))


def take(x: torch.Tensor, place: torch.Tensor, dim: int) -> torch.Tensor:
    """Rows (dim=2) or frames (dim=3) at each clip's own places (B, L) from x (B, C, H, W).

    `gather` with an index of stride 0: indexing with two tensors takes three times as long on a CPU.
    """
    shape = list(x.shape)
    shape[dim] = place.shape[1]
    view = [len(x), 1, 1, 1]
    view[dim] = place.shape[1]
    return x.gather(dim, place.view(view).expand(shape))
