"""Logistic regression on row statistics: minutes for all features together on a CPU.

scikit-learn fits it. The result is a small network, so that weights, predictions and
run folder are like those of any other model. Its input (B, D, 1, 1) is that of the kind
`linear` in train/network_input.py.
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
        return self.head((x.flatten(1) - self.mean) / self.scale)


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
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(x[originals].astype(np.float64))
    network.mean.copy_(torch.from_numpy(scaler.mean_))
    network.scale.copy_(torch.from_numpy(scaler.scale_))
    network.head.weight.zero_()
    network.head.bias.fill_(ABSENT)
    standard = scaler.transform(x.astype(np.float64))
    regression = LogisticRegression(C=network.strength, max_iter=2000)
    # matrix products are so small that waiting for a second thread takes longer
    with threadpool_limits(1):
        if y.ndim == 2:
            everywhere = y.all(axis=0)
            network.head.bias[torch.from_numpy(everywhere)] = -ABSENT
            for column in np.flatnonzero(y.any(axis=0) & ~everywhere):
                regression.fit(standard, y[:, column])
                network.head.weight[column] = torch.from_numpy(
                    regression.coef_[0]
                ).float()
                network.head.bias[column] = float(regression.intercept_[0])
            return
        regression.fit(standard, y)
    weight = regression.coef_
    bias = regression.intercept_
    # scikit-learn keeps one row, the log odds of the second class
    if len(regression.classes_) == 2:
        weight = np.concatenate([0 * weight, weight])
        bias = np.append(0, bias)
    network.head.weight[regression.classes_] = torch.from_numpy(weight).float()
    network.head.bias[regression.classes_] = torch.from_numpy(bias).float()
