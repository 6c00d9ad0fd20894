"""A small network for vectors, such as embeddings of a pretrained network: two linear
layers and dropout.

Its input (B, D, 1, 1) is that of the kind `vector` in train/network_input.py: a feature
of several frames enters by the numbers of `over_columns`, so that `mel+embedding` is
one input.
"""

import torch
from torch import nn


class VectorNet(nn.Module):
    """Standardise, one hidden layer, one linear layer: (B, D, 1, 1) to logits (B,
    classes).
    """

    def __init__(
        self,
        dimensions: int,
        classes: int,
        width: int,
        dropouts: tuple[float, float],
    ) -> None:
        """`dropouts`: probabilities before the hidden layer and before the last
        layer.
        """
        super().__init__()
        self.norm = nn.BatchNorm1d(dimensions, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(dropouts[0]),
            nn.Linear(dimensions, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(dropouts[1]), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.norm(x.flatten(1))))
