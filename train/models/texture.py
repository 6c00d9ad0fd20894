"""Texture statistics: mean, deviation and modulation spectrum of each band of rows, and a network on them.

McDermott and Simoncelli (2011, doi:10.1016/j.neuron.2011.06.032) found that listeners recognise rain, waves
or engines from statistics of this kind, whenever something happens. A convolutional network has to find them
from a few hundred clips; here they are computed, and a small network classifies them.
"""

import torch
from torch import nn

BANDS = 32  # rows are averaged in so many groups
RANGES = 8  # of modulation frequency, from one period a clip up
DROPOUT = 0.5
FLOOR = 0.05  # of a deviation, added to the modulation spectrum: that of a constant band does not matter


class TextureStatistics(nn.Module):
    """Feature maps (B, C, H, W) to statistics (B, C * BANDS * (2 + ranges)), without weights.

    Of each band of rows: its mean, its deviation, and the logarithm of its modulation spectrum (the size of
    the Fourier transform along time) in ranges of equal ratio. `frames` is W; few have fewer ranges. A
    circular shift in time changes none of them.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.edges = range_edges(frames // 2)
        self.size = BANDS * (2 + len(self.edges) - 1)  # of one channel

    def channel_of_each(self, channels: int) -> torch.Tensor:
        """(channels * size,) the channel that each of the statistics is of."""
        ranges = self.size // BANDS - 2
        return torch.cat([torch.arange(channels).repeat_interleave(BANDS * n) for n in (1, 1, ranges)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bands = self.bands(x)
        centred = bands - bands.mean(3)[..., None]
        return self.summarise(bands, centred, torch.fft.rfft(centred, dim=3).abs()[..., 1:])

    def bands(self, x: torch.Tensor) -> torch.Tensor:
        """Rows averaged in groups: (B, C, BANDS, W)."""
        return nn.functional.adaptive_avg_pool2d(x, (BANDS, x.shape[3]))

    def summarise(self, bands: torch.Tensor, centred: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        """The statistics of bands, as they are and centred, and of their spectrum (B, C, BANDS, W // 2)."""
        ranges = [spectrum[..., low:high].mean(3) for low, high in zip(self.edges, self.edges[1:])]
        modulation = (torch.stack(ranges, dim=3) + FLOOR).log()  # (B, C, BANDS, ranges)
        return torch.cat([bands.mean(3).flatten(1), centred.std(3).flatten(1), modulation.flatten(1)], dim=1)


def range_edges(bins: int) -> list[int]:
    """Where up to RANGES ranges of 0..bins begin and end: in equal ratios, each with one bin at least.

    >>> range_edges(108)
    [0, 2, 3, 6, 10, 19, 33, 60, 108]
    """
    return sorted({0, *(round(bins ** (step / RANGES)) for step in range(1, RANGES + 1))})


class TextureNet(nn.Module):
    """Texture statistics, standardised, then two linear layers: (B, C, H, W) to logits (B, classes)."""

    stages = ("texture", "hidden", "head")

    def __init__(self, channels: int, classes: int, frames: int, width: int) -> None:
        super().__init__()
        self.texture = TextureStatistics(frames)
        size = channels * self.texture.size
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(size, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, classes))

    @property
    def shift_invariant(self) -> TextureStatistics:
        """What is computed before the first weight; `forward` takes it in the place of its input."""
        return self.texture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W), or their statistics as (B, numbers, 1, 1)."""
        with torch.autocast(x.device.type, enabled=False):  # a spectrum needs more than bf16's eight bits
            statistics = x.float().flatten(1) if x.shape[2:] == (1, 1) else self.texture(x.float())
            return self.head(self.hidden(self.norm(statistics)))
