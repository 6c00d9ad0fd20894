"""Logistic regression on row statistics: minutes for all features together on a CPU.

Its loss has one minimum, found by train/minimise.py. The result is a small network, so
that weights, predictions and run folder are like those of any other model. Its input
(B, D, 1, 1) is that of the kind `linear` in train/network_input.py.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# logit of a class without training clips: finite, but its probability is 0 in float32
ABSENT = -1000.0


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
) -> None:
    """Set the network's weights from training clips x (N, D) and class numbers y (N,).

    If y is (N, K), with 1 for each label of a clip, each class is fitted against the
    rest.

    Means and deviations are those of the `originals` (N,) alone, without their altered
    copies. The loss has one minimum: the seed and the order of the clips do not matter.
    """
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(x[originals].astype(np.float64))
    network.mean.copy_(torch.from_numpy(scaler.mean_))
    network.scale.copy_(torch.from_numpy(scaler.scale_))
    network.head.weight.zero_()
    network.head.bias.fill_(ABSENT)
    standard = scaler.transform(x.astype(np.float64))
    if y.ndim == 2:
        everywhere = y.all(axis=0)
        network.head.bias[torch.from_numpy(everywhere)] = -ABSENT
        fitted = np.flatnonzero(y.any(axis=0) & ~everywhere)
        target = y[:, fitted] > 0
    else:
        fitted = np.unique(y)
        target = y[:, None] == fitted
    exclusive = y.ndim == 1 and len(fitted) > 2
    if y.ndim == 1 and len(fitted) == 2:
        # one row, the log odds of the second class, as scikit-learn has it
        network.head.bias[fitted[0]] = 0
        fitted = fitted[1:]
        target = target[:, 1:]
    if not len(fitted):
        return
    # it imports scipy.linalg, a tenth of the time of commands that train nothing
    from featurestack.train.minimise import minimise

    # one thread: sums have the same order on every machine
    with threadpool_limits(1):
        weight, bias = minimise(standard, target, network.strength, exclusive)
    network.head.weight[fitted] = torch.from_numpy(weight).float()
    network.head.bias[fitted] = torch.from_numpy(bias).float()
