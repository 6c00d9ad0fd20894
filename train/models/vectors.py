"""Networks on vectors (B, D, 1, 1), the inputs of the kinds `vector` and `linear` in
train/network_input.py: a feature of several frames enters by the numbers of
`over_columns`, so that `mel+embedding` is one input.

`mlp` has two linear layers and dropout. `linear` is logistic regression, `ridge` kernel
ridge regression: both are solved exactly, in seconds on a CPU. They are networks too,
so that weights, predictions and run folder are like those of any other model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.linear import logistic, ridge


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


@dataclass(frozen=True)
class TrainingClips:
    """The clips that an exact model is fitted to.

    x              (N, D)
    y              (N,) class numbers, or (N, K) labels
    groups         (N,) source recordings
    originals      (N,) whether a clip counts for means, deviations and choices
    widths         numbers of each feature
    blocks         numbers of each feature, or of each of its layers
    class_weights  (K,) of BALANCE=loss
    """

    x: NDArray[np.float32]
    y: NDArray[np.integer]
    groups: NDArray[np.generic]
    originals: NDArray[np.bool_]
    widths: Sequence[int]
    blocks: Sequence[int]
    class_weights: NDArray[np.float32] | None = None


class ExactNet(nn.Module):
    """Standardise, then one linear layer: (B, D, 1, 1) to logits (B, classes)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))
        self.head = nn.Linear(dimensions, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.standardised(x))

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) - self.mean) / self.scale

    def fit(self, training: TrainingClips) -> None:
        """Set the weights to the solution for these clips."""
        raise NotImplementedError

    @torch.no_grad()
    def set(self, **values: NDArray[np.floating]) -> None:
        """Copy these into the buffers and parameters of these names."""
        own = {**dict(self.head.named_parameters()), **dict(self.named_buffers())}
        for name, array in values.items():
            own[name].copy_(torch.from_numpy(array))


class LinearNet(ExactNet):
    """Logistic regression."""

    def __init__(self, dimensions: int, classes: int, strength: float) -> None:
        super().__init__(dimensions, classes)
        self.strength = strength

    def fit(self, training: TrainingClips) -> None:
        strengths = logistic.strengths(training.widths, self.strength)
        classes = self.head.out_features
        model = logistic.fit(
            training.x,
            training.y,
            classes,
            strengths,
            training.originals,
            training.class_weights,
        )
        self.set(**vars(model))


class RidgeNet(ExactNet):
    """Kernel ridge regression: the linear layer, and one on the similarities to support
    clips, if it has any. Standardised values are held within `bound`.
    """

    bound: torch.Tensor
    support: torch.Tensor  # (M, D) standardised
    dual: torch.Tensor  # (classes, M)

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__(dimensions, classes)
        self.register_buffer("bound", torch.ones(dimensions))
        self.register_buffer("support", torch.zeros(0, dimensions))
        self.register_buffer("dual", torch.zeros(classes, 0))

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        return super().standardised(x).clamp(-self.bound, self.bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.standardised(x)
        logits = self.head(z)
        if not len(self.support):
            return logits
        squares = (z**2).sum(1, keepdim=True) + (self.support**2).sum(1)
        distances = squares - 2 * z @ self.support.T
        return logits + torch.exp(-distances.clamp(min=0)) @ self.dual.T

    def fit(self, training: TrainingClips) -> None:
        fitted = ridge.fit(
            training.x,
            training.y,
            self.head.out_features,
            training.blocks,
            training.groups,
            training.originals,
            training.class_weights,
        )
        weights = {"weight": fitted.weight, "bias": fitted.bias}
        self.set(**weights, **fitted.standard._asdict())
        self.support = torch.from_numpy(fitted.support).float()
        self.dual = torch.from_numpy(fitted.dual).float()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *details: Any
    ) -> None:
        # only a fit knows the number of support clips
        for name in ("support", "dual"):
            if (stored := state_dict.get(f"{prefix}{name}")) is not None:
                setattr(self, name, torch.zeros_like(stored))
        super()._load_from_state_dict(state_dict, prefix, *details)
