"""Networks on vectors (B, D, 1, 1), the inputs of the kinds `vector` and `linear` in
train/network_input.py: a feature of several frames enters by the numbers of
`over_columns`, so that `mel+embedding` is one input.

`mlp` has two linear layers and dropout. `linear` is logistic regression: minutes for
all features together on a CPU. It is a network too, so that weights, predictions and
run folder are like those of any other model.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.linear import logistic as linear


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


class LinearNet(nn.Module):
    """Standardise, then one linear layer: (B, D, 1, 1) to logits (B, classes)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dimensions: int, classes: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))
        self.head = nn.Linear(dimensions, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        standard = (x.flatten(1) - self.mean) / self.scale
        return self.head(standard)

    @torch.no_grad()
    def fit(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.integer],
        originals: NDArray[np.bool_],
        widths: Sequence[int],
        class_weights: NDArray[np.float32] | None = None,
    ) -> None:
        """Set the weights, as `linear.logistic.fit` finds them from features with so
        many numbers.
        """
        strengths = linear.strengths(widths, self.strength)
        classes = self.head.out_features
        fitted = linear.fit(x, y, classes, strengths, originals, class_weights)
        self.mean.copy_(torch.from_numpy(fitted.mean))
        self.scale.copy_(torch.from_numpy(fitted.scale))
        self.head.weight.copy_(torch.from_numpy(fitted.weight))
        self.head.bias.copy_(torch.from_numpy(fitted.bias))
