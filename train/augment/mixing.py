"""What changes the class shares of a clip: another clip in it, or doubt about its label."""

import torch

from train.augment.registry import Batch, augment


@augment(default=0.5, most=0.5)
def mix(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Mixup (Zhang et al. 2018): up to `strength` of another clip is blended in.

    The share is drawn evenly from 0 to `strength`: 0.5 is mixup with its alpha at 1.
    """
    share = batch.uniform(generator, 0, strength)
    other = batch.partners(generator)
    x = torch.lerp(batch.x, batch.x[other], share.to(batch.x.dtype).view(-1, 1, 1, 1))
    return batch._replace(x=x, y=torch.lerp(batch.y, batch.y[other], share.to(batch.y.dtype)[:, None]))


@augment(default=0.5, most=0.5)
def splice(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """A span of up to `strength` of the frames comes from another clip, at the same time in every channel."""
    length = batch.x.shape[3]
    span = (batch.uniform(generator) * (strength * length + 1)).floor()[:, None]
    start = (batch.uniform(generator) * length).floor()[:, None]
    inside = (torch.arange(length, device=batch.x.device) - start) % length < span  # (B, W), goes round
    other = batch.partners(generator)
    x = torch.where(inside[:, None, None, :], batch.x[other], batch.x)
    share = inside.to(batch.y.dtype).mean(1, keepdim=True)
    return batch._replace(x=x, y=torch.lerp(batch.y, batch.y[other], share))


@augment(default=0.1, most=0.9)
def smooth(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Label smoothing (Szegedy et al. 2016): `strength` of each clip is shared out evenly to all classes."""
    return batch._replace(y=torch.lerp(batch.y, torch.full_like(batch.y, 1 / batch.y.shape[1]), strength))
