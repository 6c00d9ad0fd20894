"""Logistic regression on row statistics: minutes for all features together on a CPU.

results/linear.py finds the one minimum of its loss. The result is a small network, so
that weights, predictions and run folder are like those of any other model. Its input
(B, D, 1, 1) is that of the kind `linear` in train/network_input.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.results import linear


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
    network: LinearNet,
    x: NDArray[np.float32],
    y: NDArray[np.integer],
    originals: NDArray[np.bool_],
    widths: Sequence[int],
    class_weights: NDArray[np.float32] | None = None,
) -> None:
    """Set the network's weights, as `results.linear.fit` finds them from features with
    so many numbers.
    """
    classes = network.head.out_features
    strengths = linear.strengths(widths, network.strength)
    fitted = linear.fit(x, y, classes, strengths, originals, class_weights)
    network.mean.copy_(torch.from_numpy(fitted.mean))
    network.scale.copy_(torch.from_numpy(fitted.scale))
    network.head.weight.copy_(torch.from_numpy(fitted.weight))
    network.head.bias.copy_(torch.from_numpy(fitted.bias))
