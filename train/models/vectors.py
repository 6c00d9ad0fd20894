"""Networks on vectors (B, D, 1, 1), the inputs of the kinds `vector` and `linear` in
train/network_input.py: a feature of several frames enters by the numbers of
`over_columns`, so that `mel+embedding` is one input.

`mlp` has two linear layers and dropout. `linear` is scikit-learn's logistic regression,
`ridge` kernel ridge regression: both are solved exactly, in seconds on a CPU. They are
networks too, so that weights, predictions and run folder are like those of any other
model.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from featurestack.commandline.terminal import tell_once
from featurestack.linear import ridge
from featurestack.linear.ridge import ABSENT, means_and_deviations
from featurestack.results.training_options import STRENGTH
from featurestack.scores.metrics import Floats

# Numbers that a feature of a set counts as at most: as stft, the widest made by hand. A
# vector of 8,192 would drown 1,024 others: with it YAMNet has 85.2 % and not 80.8, on
# folds 1 to 3 of ESC-50, each tested by the model of the two others.
WIDEST = 2050
# Of Newton's method, whose steps solve by conjugate gradients: probabilities are within
# 1e-4 of the minimum's. L-BFGS needs thousands of steps, since features are correlated.
TOLERANCE = 1e-6
MOST_STEPS = 200  # ESC-50 needs 15


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
        counted = training.class_weights
        if counted is None:
            counted = np.ones(self.head.out_features, np.float32)
        strengths = strengths_of(training.widths, self.strength)
        x = training.x.astype(np.float64)
        mean, scale = means_and_deviations(x[training.originals])
        x -= mean
        x /= scale
        root = np.sqrt(strengths / self.strength)
        x *= root  # a number with a larger C has a smaller penalty
        weight, bias = logistic_regression(x, training.y, counted, self.strength)
        self.set(mean=mean, scale=scale, weight=weight * root, bias=bias)


def strengths_of(widths: Sequence[int], strength: float) -> Floats:
    """(D,) C of each number of a set of features with so many numbers (F,): a number of
    a feature with more than WIDEST has a smaller one, the mean of all is `strength`.
    """
    own = np.array(widths, float)
    counted = np.minimum(own, WIDEST)
    shares = counted / own * (own.sum() / counted.sum())
    return np.repeat(strength * shares, widths)


def logistic_regression(
    z: Floats,
    y: NDArray[np.integer] | NDArray[np.bool_],
    counted: NDArray[np.floating],
    strength: float = STRENGTH,
) -> tuple[Floats, Floats]:
    """Weights (K, D) and biases (K,) of standardised clips z (N, D) and class numbers y
    (N,); of labels (N, K), each class is fitted against the rest. A class without clips
    is never predicted.

    counted  (K,) as how many clips a clip of each class counts; of labels, a clip that
             has the label
    """
    from sklearn.linear_model import LogisticRegression

    classes, (clips, numbers) = len(counted), z.shape
    weight, bias = np.zeros((classes, numbers)), np.full(classes, ABSENT)
    basis = None
    if clips < numbers:
        # The penalty keeps weights within the span of the clips.
        values, vectors = np.linalg.eigh(z @ z.T)
        kept = values > values[-1] * clips * np.finfo(float).eps
        root = np.sqrt(values[kept])
        z, basis = vectors[:, kept] * root, (vectors[:, kept] / root).T @ z

    def solve(target: NDArray[Any], counts: NDArray[np.floating]) -> tuple[Any, Any]:
        model = LogisticRegression(
            C=strength, solver="newton-cg", tol=TOLERANCE, max_iter=MOST_STEPS
        )
        with warnings.catch_warnings(action="ignore"), threadpool_limits(1):
            model.fit(z, target, counts)
        if model.n_iter_.max() >= MOST_STEPS:
            tell_once(
                f"a linear model was not at its minimum after {MOST_STEPS:,} steps: its"
                " probabilities are approximate; a stronger penalty converges sooner,"
                " as in MODEL=linear@C=0.01"
            )
        own = model.coef_ if basis is None else model.coef_ @ basis
        return own, model.intercept_

    if y.ndim == 2:
        for label, has in enumerate(y.T > 0):
            if has.all():
                bias[label] = -ABSENT
            elif has.any():
                of_label = solve(has, np.where(has, counted[label], 1.0))
                weight[label], bias[label] = of_label[0][0], of_label[1][0]
        return weight, bias
    fitted = np.unique(y)
    bias[fitted] = 0
    if len(fitted) > 1:
        # of two classes one row, the log odds of the second
        rows = fitted[1:] if len(fitted) == 2 else fitted
        weight[rows], bias[rows] = solve(y, counted[y])
    return weight, bias


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
