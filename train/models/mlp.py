"""A small network for vectors, such as embeddings of a pretrained network: two linear
layers and dropout.

Its input (B, D, 1, 1) is that of the kind `vector` in train/network_input.py: a feature
of several frames enters by the numbers of `over_columns`, so that `mel+embedding` is
one input.
"""

import torch
from torch import nn


class VectorNet(nn.Module):
    """Standardise, one hidden and one linear layer: (B, D, 1, 1) to (B, classes)."""

    def __init__(
        self,
        dimensions: int,
        classes: int,
        width: int,
        dropouts: tuple[float, float],
    ) -> None:
        """`dropouts`: before the hidden layer and before the last layer."""
        super().__init__()
        before_hidden, before_head = dropouts
        self.norm = nn.BatchNorm1d(dimensions, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(before_hidden),
            nn.Linear(dimensions, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(before_head), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x.flatten(1))
        x = self.hidden(x)  # (B, width)
        return self.head(x)
