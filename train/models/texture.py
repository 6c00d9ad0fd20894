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

from featurestack.train.models.vectors import VectorNet
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
                rows = max(BANDS, plane.rows)
                size = 3 * rows + BANDS * ranges
                if plane.rows >= SPECTRUM_ROWS:
                    along_rows = len(patterns(plane.rows))
                    size += 2 * along_rows + along_rows * ranges
            sizes.append(size)
        return sizes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        planes = enumerate(self.planes)
        statistics = [self.of_channel(x[:, number], plane) for number, plane in planes]
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
            cosines = torch.from_numpy(patterns(plane.rows)).to(x.device)
            along_rows = cosines @ rows
            statistics += [
                along_rows.mean(2),
                along_rows.std(2),
                self.modulation(along_rows),
            ]
        return torch.cat(statistics, dim=1)

    def modulation(self, x: torch.Tensor) -> torch.Tensor:
        """(B, rows, W) to logarithms of modulation spectra, (B, rows * ranges)."""
        centred = x - x.mean(2, keepdim=True)
        spectrum = magnitudes(centred)[..., 1:]  # (B, rows, W // 2)
        edges = zip(self.edges, self.edges[1:])
        ranges = [spectrum[..., low:high].mean(2) for low, high in edges]
        modulation = torch.stack(ranges, dim=2) + FLOOR
        return modulation.log().flatten(1)


@functools.cache
def patterns(rows: int) -> NDArray[np.float32]:
    """(patterns, rows): cosines in windows of a quarter and of half the rows."""
    every = []
    for parts, cosines in WINDOWS.items():
        length = rows // parts
        taper = np.hanning(length + 2)[1:-1]
        places = (np.arange(length) + 0.5) / length
        hop = length // 2
        for start in range(0, rows - length + 1, hop):
            end = start + length
            for order in range(1, cosines + 1):
                cosine = np.sqrt(2 / length) * np.cos(np.pi * order * places)
                pattern = np.zeros(rows, np.float32)
                pattern[start:end] = taper * cosine
                every.append(pattern)
    return np.stack(every)


# The export has no adaptive pooling and no Fourier transform: an exported network
# multiplies by matrices.


def pool(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Averages over groups of rows and columns: (..., H, W) to (..., rows, columns)."""
    if torch.onnx.is_in_onnx_export():
        over_rows = averaging(x.shape[-2], rows)
        over_columns = averaging(x.shape[-1], columns)
        return over_rows.T @ x @ over_columns
    return nn.functional.adaptive_avg_pool2d(x, (rows, columns))


def averaging(length: int, groups: int) -> torch.Tensor:
    """(length, groups): the weight of each value in each group's average."""
    edges = np.arange(groups + 1) * int(length) / int(groups)
    place = np.arange(int(length))[:, None]
    begin = np.floor(edges[:-1])
    end = np.ceil(edges[1:])
    inside = (place >= begin) & (place < end)
    weights = inside / inside.sum(axis=0)
    return torch.from_numpy(weights.astype(np.float32))


def magnitudes(x: torch.Tensor) -> torch.Tensor:
    """Magnitudes of the Fourier transform: (..., W) to (..., 1 + W // 2)."""
    if torch.onnx.is_in_onnx_export():
        impulses = np.eye(int(x.shape[-1]))
        transform = np.fft.rfft(impulses).astype(np.complex64)
        waves = torch.from_numpy(transform)
        real = x @ waves.real
        imaginary = x @ waves.imag
        return (real.square() + imaginary.square()).sqrt()
    spectrum = torch.fft.rfft(x, dim=-1)
    return spectrum.abs()


def range_edges(bins: int) -> list[int]:
    """Edges of up to RANGES ranges of 0..bins, in equal ratios, with at least one bin
    each.

    >>> range_edges(108)
    [0, 2, 3, 6, 10, 19, 34, 60, 108]
    """
    edges = {0}
    for step in range(1, RANGES + 1):
        edges.add(round(bins ** (step / RANGES)))
    return sorted(edges)


class TextureNet(nn.Module):
    """Texture statistics, then several networks on vectors, whose logits are averaged:
    (B, C, H, W) to (B, classes), in training (B, members, classes).
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
        networks = [
            VectorNet(numbers, classes, width, (DROPOUT, DROPOUT))
            for _ in range(members)
        ]
        self.members = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps (B, C, H, W), or their statistics as (B, numbers, 1, 1)."""
        # a spectrum needs more than bf16's eight bits
        with torch.autocast(x.device.type, enabled=False):
            statistics = x.float()
            if x.shape[2:] != (1, 1):
                statistics = self.shift_invariant(statistics)
            by_member = [member(statistics) for member in self.members]
            logits = torch.stack(by_member, dim=1)
        return logits if self.training else logits.mean(1)
