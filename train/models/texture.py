"""Texture statistics of each channel, and networks on them.

McDermott and Simoncelli (2011, doi:10.1016/j.neuron.2011.06.032) found that listeners
recognise rain, waves or engines from statistics of this kind, which do not depend on
the order of events. A convolutional network would have to learn such statistics from a
few hundred clips; here small networks classify them. Patterns along frequency, with
their modulation in time, are those of joint time-frequency scattering (Andén, Lostanlen
and Mallat 2019, doi:10.1109/TSP.2019.2918992), with cosines instead of wavelets.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.train.models.mlp import VectorNet
from featurestack.train.network_input import Plane, Planes

BANDS = 32  # number of groups in which rows are averaged for modulation spectra
# largest number of ranges of modulation frequency; the lowest begins at one period a
# clip
RANGES = 8
DROPOUT = 0.5
# added to the modulation spectrum before its logarithm, in deviations of the
# standardised input
FLOOR = 0.05
SPECTRUM_ROWS = 64  # a channel with fewer rows gets no patterns along frequency
# windows along frequency: rows divided by a window's length -> cosines in a window
WINDOWS = {4: 6, 2: 8}


class TextureStatistics(nn.Module):
    """Feature maps (B, C, H, W) to statistics (B, the sum of `sizes`); no weights.

    A channel in time has the mean, deviation and maximum of each row, and the logarithm
    of the modulation spectrum (magnitudes of the Fourier transform along time) of each
    band, in ranges of equal ratio. If it has SPECTRUM_ROWS rows or more, each of
    `patterns` along its rows has a mean, a deviation and such a spectrum too. Rows that
    the grid repeats are averaged back, to BANDS rows at least: single values would
    rarely survive the dropout. Any other channel has all its values.

    `frames` is W; few frames give fewer ranges. A circular shift in time changes no
    statistic.
    """

    def __init__(self, planes: Planes, frames: int) -> None:
        super().__init__()
        self.planes = planes
        self.edges = range_edges(frames // 2)

    @property
    def sizes(self) -> list[int]:
        """The number of statistics of each channel."""
        ranges = len(self.edges) - 1
        sizes = []
        for plane in self.planes:
            size = plane.rows * plane.columns
            if plane.timed:
                size = 3 * max(BANDS, plane.rows) + BANDS * ranges
                if plane.rows >= SPECTRUM_ROWS:
                    size += len(patterns(plane.rows)) * (2 + ranges)
            sizes.append(size)
        return sizes

    @property
    def owners(self) -> NDArray[np.intp]:
        """(statistics,) the number of the channel that each of `forward`'s statistics
        belongs to.
        """
        return np.repeat(np.arange(len(self.planes)), self.sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        statistics = [
            self.of_channel(x[:, number], plane)
            for number, plane in enumerate(self.planes)
        ]
        return torch.cat(statistics, dim=1)

    def of_channel(self, x: torch.Tensor, plane: Plane) -> torch.Tensor:
        """One channel (B, H, W) to its statistics (B, size)."""
        if not plane.timed:
            return pool(x, plane.rows, plane.columns).flatten(1)
        frames = x.shape[2]
        rows = pool(x, max(BANDS, plane.rows), frames)
        bands = pool(x, BANDS, frames)
        statistics = [rows.mean(2), rows.std(2), rows.amax(2), self.modulation(bands)]
        if plane.rows >= SPECTRUM_ROWS:
            along_rows = torch.from_numpy(patterns(plane.rows)).to(x.device) @ rows
            statistics += [
                along_rows.mean(2),
                along_rows.std(2),
                self.modulation(along_rows),
            ]
        return torch.cat(statistics, dim=1)

    def modulation(self, x: torch.Tensor) -> torch.Tensor:
        """(B, rows, W) to the logarithms of the modulation spectra, (B, rows *
        ranges).
        """
        centred = x - x.mean(2)[..., None]
        spectrum = magnitudes(centred)[..., 1:]  # (B, rows, W // 2)
        ranges = [
            spectrum[..., low:high].mean(2)
            for low, high in zip(self.edges, self.edges[1:])
        ]
        return (torch.stack(ranges, dim=2) + FLOOR).log().flatten(1)


@functools.cache
def patterns(rows: int) -> NDArray[np.float32]:
    """(patterns, rows): cosines in windows along the rows, of a quarter and of half of
    them, which overlap by half.
    """
    every = []
    for parts, cosines in WINDOWS.items():
        length = rows // parts
        taper = np.hanning(length + 2)[1:-1]
        places = (np.arange(length) + 0.5) / length
        for start in range(0, rows - length + 1, length // 2):
            for order in range(1, cosines + 1):
                pattern = np.zeros(rows, np.float32)
                cosine = np.sqrt(2 / length) * np.cos(np.pi * order * places)
                pattern[start : start + length] = taper * cosine
                every.append(pattern)
    return np.stack(every)


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


class TextureNet(nn.Module):
    """Texture statistics, then several networks on vectors, whose logits are averaged.

    (B, C, H, W) to logits (B, classes); in training to the logits of each network, (B,
    members, classes), so that each has a loss of its own.
    """

    def __init__(
        self,
        planes: Planes,
        classes: int,
        frames: int,
        width: int,
        members: int,
    ) -> None:
        super().__init__()
        # no weights, so that it runs once if augmentations only shift
        self.shift_invariant = TextureStatistics(planes, frames)
        numbers = sum(self.shift_invariant.sizes)
        self.members = nn.ModuleList(
            VectorNet(numbers, classes, width, (DROPOUT, DROPOUT))
            for _ in range(members)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W), or their statistics as (B, numbers, 1, 1)."""
        # a spectrum needs more than bf16's eight bits
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            statistics = x if x.shape[2:] == (1, 1) else self.shift_invariant(x)
            logits = torch.stack([member(statistics) for member in self.members], dim=1)
        return logits if self.training else self.join(logits)

    def join(self, logits: torch.Tensor) -> torch.Tensor:
        """The networks' logits (B, members, K) as one answer (B, K)."""
        return logits.mean(1)
