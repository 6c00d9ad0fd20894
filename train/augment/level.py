"""Changes of loudness: values, not places."""

import torch

from train.augment.registry import Batch, augment

STRIP = 1 << 16  # spare noise values, so that two clips of a batch hardly get the same window


@augment(default=0.3, most=3.0)
def gain(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """Louder or softer: up to `strength` is added to decibels, a waveform is multiplied by 10 to that.

    Decibels are in standard deviations here (about 20 dB), so 0.3 is some 6 dB in either case. Channels
    that loudness leaves alone (chroma, tonnetz) or changes in one row only (mfcc) stay.
    """
    step = batch.uniform(generator, -strength, strength).to(batch.x.dtype).view(-1, 1, 1, 1)
    factor = torch.where(batch.where("wave"), 10**step, 1)
    return batch._replace(x=torch.addcmul(step * batch.where("frequency"), batch.x, factor))


@augment(default=0.2, most=3.0)
def noise(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """White noise of up to `strength` standard deviations is added.

    A normal number costs fifty times what adding it does, so that each clip takes its own window of one
    strip instead of numbers of its own.
    """
    values = batch.x[0].numel()
    strip = torch.randn(values + STRIP, generator=generator, device=generator.device).to(batch.x)
    start = (batch.uniform(generator) * STRIP).long()
    windows = strip.unfold(0, values, 1)[start].view_as(batch.x)
    level = batch.uniform(generator, 0, strength).to(batch.x.dtype).view(-1, 1, 1, 1)
    return batch._replace(x=torch.addcmul(batch.x, windows, level))


@augment(default=0.5, most=1.0, kinds=("wave",))
def polarity(batch: Batch, strength: float, generator: torch.Generator) -> Batch:
    """The waveform is turned over with probability `strength`."""
    turned = batch.uniform(generator) < strength
    sign = torch.where(turned.view(-1, 1, 1, 1) & batch.where("wave"), -1, 1)
    return batch._replace(x=batch.x * sign.to(batch.x.dtype))
