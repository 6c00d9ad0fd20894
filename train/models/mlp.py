"""A small network for vectors, such as embeddings of a pretrained network: two linear layers and dropout.

Its input is no image: each number of a vector is a channel of one row and one frame. A feature with several
frames takes part by the mean and the deviation of each of its rows, so that `mel+embedding` is one input.
"""

from typing import Annotated

import torch
from torch import nn

from commandline.options import Bounds
from train.models.registry import model


class VectorNet(nn.Module):
    """Standardise, one hidden layer, one linear layer: (B, D, 1, 1) to logits (B, classes)."""

    stages = ("hidden", "head")

    def __init__(self, dimensions: int, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dimensions, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout / 2),
            nn.Linear(dimensions, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.norm(x.flatten(1))))


@model(kind="vector")
def mlp(
    channels: int,
    classes: int,
    shape: tuple[int, int],
    *,
    width: int = 256,
    dropout: Annotated[float, Bounds(0, 0.9999)] = 0.5,
) -> VectorNet:
    """A multilayer perceptron on vectors; of other features the mean and deviation of each row.

    channels: the numbers of a clip, see `train.data.input_width`; shape is (1, 1).
    """
    return VectorNet(channels, classes, width, dropout)
