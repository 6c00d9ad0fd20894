"""Movements in time: every channel of a clip moves alike."""

import torch

from train.augment.registry import Batch, augment


@augment(default=1.0, most=1.0)
def shift(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """A circular shift in time by up to `strength` of the clip."""
    length = batch.x.shape[3]
    offset = (batch.uniform(generator) * strength * length).floor().long()
    place = torch.arange(length, device=batch.x.device)
    return batch._replace(x=take_frames(batch.x, (place + offset[:, None]) % length))


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
    before, after = take_frames(batch.x, left % length), take_frames(batch.x, (left + 1) % length)
    return batch._replace(x=before.lerp_(after, share))


def take_frames(x: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Frames at each clip's own places (B, L) from x (B, C, H, W): (B, C, H, L).

    `gather` with an index of stride 0: indexing with two tensors takes three times as long on a CPU.
    """
    return x.gather(3, place[:, None, None, :].expand(*x.shape[:3], -1))
