"""Inputs of models on vectors and on row statistics: each row's mean and deviation
over time instead of a feature map.

Conventions as in `train.network_input`, where an input kind is described.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestack.features_cache.row_statistics import column_means
from featurestack.results.config import StoredChannel
from featurestack.train.network_input import Shape, example_channel, input_kind

if TYPE_CHECKING:
    from torch import Tensor


@input_kind(
    "steps",
    "balance",
    "padding",
    width=lambda channel: channel.rows if channel.frames == 1 else channel.statistics,
    grid="1x1",
    summarised=True,
    reads_padding=True,
    augmented_as="vector",
    example=lambda options: (example_channel("embedding", 512, 1),),
)
def vector(values: Tensor, channel: StoredChannel, grid: Shape) -> Tensor:
    """The numbers of a vector; for other features the numbers of `over_columns`."""
    numbers = values if channel.frames == 1 else over_columns(values, channel)
    return numbers[..., None]


@input_kind(
    "balance",
    "padding",
    width=lambda channel: channel.statistics,
    grid="1x1",
    summarised=True,
    standardised=False,  # the network standardises the statistics
    reads_padding=True,
    unit=" row statistics",
)
def linear(values: Tensor, channel: StoredChannel, grid: Shape) -> Tensor:
    """The numbers of `over_columns`."""
    return over_columns(values, channel)[..., None]


def over_columns(values: Tensor, channel: StoredChannel) -> Tensor:
    """(B, rows, frames) float32 to (B, statistics, 1): mean and deviation of each row
    over time.

    If the columns are not time, the numbers are all values, with neighbouring columns
    of a large feature map averaged. Sums over time are in float64: in float32 a long
    row would lose its deviation.
    """
    import torch

    if not channel.timed:
        weights = torch.from_numpy(column_means(channel.rows, channel.frames))
        columns = values @ weights
        return columns.flatten(1)[..., None]
    values = values.double()
    means = values.mean(2, keepdim=True)
    deviations = values.std(2, correction=0, keepdim=True)
    return torch.cat([means, deviations], dim=1).float()
