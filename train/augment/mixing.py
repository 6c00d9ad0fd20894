"""Two clips in one, with their classes in the same shares."""

import torch

from train.augment.registry import Batch, augment


@augment(default=0.5, most=0.5)
def mix(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Mixup (Zhang et al. 2018): up to `strength` of another clip is blended in.

    The share is drawn evenly from 0 to `strength`: 0.5 is mixup with its alpha at 1.
    """
    share = batch.uniform(generator, 0, strength)
    other = batch.partners(generator)
    x = torch.lerp(batch.x, batch.x.index_select(0, other), share.to(batch.x.dtype).view(-1, 1, 1, 1))
    return batch._replace(x=x, y=torch.lerp(batch.y, batch.y[other], share.to(batch.y.dtype)[:, None]))


@augment(default=0.5, most=0.5)
def splice(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """A span of up to `strength` of the frames comes from another clip, at the same time in every channel."""
    length = batch.x.shape[3]
    span = (batch.uniform(generator) * (strength * length + 1)).floor()[:, None]
    start = (batch.uniform(generator) * length).floor()[:, None]
    inside = (torch.arange(length, device=batch.x.device) - start) % length < span  # (B, W), goes round
    other = batch.partners(generator)
    x = torch.where(inside[:, None, None, :], batch.x.index_select(0, other), batch.x)
    share = inside.to(batch.y.dtype).mean(1, keepdim=True)
    return batch._replace(x=x, y=torch.lerp(batch.y, batch.y[other], share))
