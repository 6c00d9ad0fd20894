"""Texture statistics: mean, deviation and modulation spectrum of each band of rows, and
a network on them.

McDermott and Simoncelli (2011, doi:10.1016/j.neuron.2011.06.032) found that listeners
recognise rain, waves or engines from statistics of this kind, which do not depend on
the order of events. A convolutional network would have to learn such statistics from a
few hundred clips; here a small network classifies them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.train.models.mlp import VectorNet
from featurestack.train.network_input import Untimed

BANDS = 32  # number of groups in which rows are averaged
# largest number of ranges of modulation frequency; the lowest begins at one period a
# clip
RANGES = 8
DROPOUT = 0.5
# added to the modulation spectrum before its logarithm, in deviations of the
# standardised input
FLOOR = 0.05


class TextureStatistics(nn.Module):
    """Feature maps (B, C, H, W) to statistics (B, C * BANDS * (2 + ranges) + values);
    no weights.

    Each band of rows has its mean, its deviation, and the logarithm of its modulation
    spectrum (magnitudes of the Fourier transform along time) in ranges of equal ratio.
    `frames` is W; few frames give fewer ranges. A circular shift in time changes no
    statistic. `untimed` channels also enter with all their values.
    """

    def __init__(self, frames: int, untimed: Untimed = ()) -> None:
        super().__init__()
        self.untimed = untimed
        self.edges = range_edges(frames // 2)
        self.size = BANDS * (1 + len(self.edges))  # statistics of one channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bands = pool(x, BANDS, x.shape[3])
        centred = bands - bands.mean(3)[..., None]
        spectrum = magnitudes(centred)[..., 1:]  # (B, C, BANDS, W // 2)
        ranges = [
            spectrum[..., low:high].mean(3)
            for low, high in zip(self.edges, self.edges[1:])
        ]
        modulation = (torch.stack(ranges, dim=3) + FLOOR).log()  # (B, C, BANDS, ranges)
        # untimed channels, averaged back to their shape before resizing if the grid was
        # larger
        values = [
            pool(x[:, plane], *shape).flatten(1) for plane, *shape in self.untimed
        ]
        statistics = [
            bands.mean(3).flatten(1),
            centred.std(3).flatten(1),
            modulation.flatten(1),
        ]
        return torch.cat([*statistics, *values], dim=1)

    def owners(self, channels: int) -> NDArray[np.intp]:
        """(statistics,) the number of the channel that each of `forward`'s statistics
        belongs to.
        """
        numbers = np.arange(channels)
        ranges = len(self.edges) - 1
        means = np.repeat(numbers, BANDS)
        deviations = np.repeat(numbers, BANDS)
        modulation = np.repeat(numbers, BANDS * ranges)
        values = [
            np.full(rows * columns, plane) for plane, rows, columns in self.untimed
        ]
        return np.concatenate([means, deviations, modulation, *values])


# The export has no adaptive pooling and no Fourier transform: an exported network
# multiplies by matrices.


def pool(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Averages over groups of rows and columns: (..., H, W) to (..., rows, columns)."""
    if torch.onnx.is_in_onnx_export():
        return averaging(x.shape[-2], rows).T @ x @ averaging(x.shape[-1], columns)
    return nn.functional.adaptive_avg_pool2d(x, (rows, columns))


def averaging(length: int, groups: int) -> torch.Tensor:
    """(length, groups): the weight of each of `length` values in each group's
    average.
    """
    edges = np.arange(groups + 1) * int(length) / int(groups)
    place = np.arange(int(length))[:, None]
    inside = (place >= np.floor(edges[:-1])) & (place < np.ceil(edges[1:]))
    return torch.from_numpy((inside / inside.sum(axis=0)).astype(np.float32))


def magnitudes(x: torch.Tensor) -> torch.Tensor:
    """Magnitudes of the Fourier transform along the last axis: (..., W) to (..., 1 + W
    // 2).
    """
    if torch.onnx.is_in_onnx_export():
        waves = torch.from_numpy(
            np.fft.rfft(np.eye(int(x.shape[-1]))).astype(np.complex64)
        )
        return ((x @ waves.real).square() + (x @ waves.imag).square()).sqrt()
    return torch.fft.rfft(x, dim=-1).abs()


def range_edges(bins: int) -> list[int]:
    """Edges of up to RANGES ranges of 0..bins, in equal ratios, with at least one bin
    each.

    >>> range_edges(108)
    [0, 2, 3, 6, 10, 19, 33, 60, 108]
    """
    return sorted(
        {0, *(round(bins ** (step / RANGES)) for step in range(1, RANGES + 1))}
    )


class TextureNet(VectorNet):
    """Texture statistics, then the network on vectors: (B, C, H, W) to logits (B,
    classes).
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        frames: int,
        width: int,
        untimed: Untimed = (),
    ) -> None:
        texture = TextureStatistics(frames, untimed)
        numbers = channels * texture.size + sum(
            rows * columns for _, rows, columns in untimed
        )
        super().__init__(numbers, classes, width, (DROPOUT, DROPOUT))
        # no weights, so that it runs once if augmentations only shift
        self.shift_invariant = texture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W), or their statistics as (B, numbers, 1, 1)."""
        # a spectrum needs more than bf16's eight bits
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            return super().forward(
                x if x.shape[2:] == (1, 1) else self.shift_invariant(x)
            )
