"""Logistic regression on row statistics: minutes for all features together on a CPU.

Its loss has one minimum, which Newton's method finds. The result is a small network, so
that weights, predictions and run folder are like those of any other model. Its input
(B, D, 1, 1) is that of the kind `linear` in train/network_input.py.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, softmax
from torch import nn

from featurestack.results.scores import Floats

# logit of a class without training clips: finite, but its probability is 0 in float32
ABSENT = -1000.0
# distance from the minimum at which Newton's method ends: probabilities are then within
# 1e-4 of it
NEAR = 1e-4
MOST_STEPS = 200  # of Newton's method; ESC-50 needs 15
MOST_PRODUCTS = 300  # with the Hessian, in one step
ROUNDING = 1e-9  # error of the loss, as a share of it
SMALLEST_CURVATURE = 1e-6  # least curvature of the bias, which has no penalty


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
        # as in scikit-learn: one row, the log odds of the second class
        network.head.bias[fitted[0]] = 0
        fitted = fitted[1:]
        target = target[:, 1:]
    if not len(fitted):
        return
    # one thread: sums have the same order on every machine
    with threadpool_limits(1):
        weight, bias = minimise(standard, target, network.strength, exclusive)
    network.head.weight[fitted] = torch.from_numpy(weight).float()
    network.head.bias[fitted] = torch.from_numpy(bias).float()


def minimise(
    x: Floats, target: NDArray[np.bool_], strength: float, exclusive: bool
) -> tuple[Floats, Floats]:
    """Weights (K, D) and biases (K,) with the smallest penalised log loss of x (N, D).

    The minimum is that of scikit-learn's LogisticRegression(C=strength). Its L-BFGS
    needs hundreds of steps, since features are correlated, and stops far from the
    minimum. Newton's method needs about fifteen. Each step solves for the Hessian by
    conjugate gradients, preconditioned by a matrix that all classes share. Products are
    in float32, which is twice as fast; gradients are in float64, and so is everything
    from the step on at which float32 no longer gets nearer to the minimum.

    exclusive  a clip has one of the classes (softmax); otherwise each class is fitted
               against the rest
    """
    clips, dimensions = x.shape
    if clips < dimensions:
        # the penalty keeps each class's weights within the span of the clips
        basis, coordinates = np.linalg.qr(x.T)
        weight, bias = minimise(coordinates.T, target, strength, exclusive)
        return weight @ basis.T, bias
    loss = LogLoss(x, target, strength, exclusive)
    weights = np.zeros((target.shape[1], x.shape[1] + 1))
    precision: type[np.floating] = np.float32
    nearest = np.inf
    for _ in range(MOST_STEPS):
        logits = loss.inputs @ weights.T
        probabilities = loss.probabilities(logits)
        gradient = loss.gradient(probabilities, weights)
        try:
            hessian = Hessian(loss, probabilities, precision)
        except np.linalg.LinAlgError:
            if precision is np.float64:
                break
            precision = np.float64
            hessian = Hessian(loss, probabilities, precision)
        distance = hessian.norm(gradient)
        if distance < NEAR:
            break
        if distance > nearest / 2 and nearest < 1:
            precision = np.float64
        nearest = min(nearest, distance)
        step = hessian.solve(gradient, tolerance=min(0.3, 0.3 * distance**0.5))
        weights = weights - loss.step_size(weights, logits, gradient, step) * step
    return weights[:, :-1], weights[:, -1]


class LogLoss:
    """Penalised log loss of weights (K, D + 1), whose last column is the bias."""

    def __init__(
        self, x: Floats, target: NDArray[np.bool_], strength: float, exclusive: bool
    ) -> None:
        self.inputs = np.column_stack([x, np.ones(len(x))])  # (N, D + 1)
        self.target = target.astype(float)  # (N, K)
        self.strength = strength
        self.exclusive = exclusive
        self.penalty = np.ones(x.shape[1] + 1)
        self.penalty[-1] = 0

    def value(self, weights: Floats, logits: Floats) -> float:
        if self.exclusive:
            normaliser = np.logaddexp.reduce(logits, axis=1).sum()
        else:
            normaliser = np.logaddexp(0, logits).sum()
        of_target = (logits * self.target).sum()
        size = (weights**2 * self.penalty).sum()
        return float(self.strength * (normaliser - of_target) + size / 2)

    def probabilities(self, logits: Floats) -> Floats:
        """(N, K)"""
        if self.exclusive:
            return softmax(logits, axis=1)
        return expit(logits)

    def gradient(self, probabilities: Floats, weights: Floats) -> Floats:
        errors = probabilities - self.target
        return self.strength * (errors.T @ self.inputs) + weights * self.penalty

    def step_size(
        self, weights: Floats, logits: Floats, gradient: Floats, step: Floats
    ) -> float:
        """The largest of 1, 1/2, 1/4, … at which the loss falls as its slope asks."""
        before = self.value(weights, logits)
        change = self.inputs @ step.T
        slope = (gradient * step).sum()
        size = 1.0
        # near the minimum the loss falls by less than its rounding
        while slope > ROUNDING * before:
            after = self.value(weights - size * step, logits - size * change)
            if after <= before - 1e-4 * size * slope:
                break
            size /= 2
        return size


class Hessian:
    """The second derivatives of a LogLoss, as products with weights (K, D + 1).

    The preconditioner is the Hessian of one class whose curvature at each clip is the
    mean over the classes.
    """

    def __init__(
        self, loss: LogLoss, probabilities: Floats, precision: type[np.floating]
    ) -> None:
        self.exclusive = loss.exclusive
        self.strength = precision(loss.strength)
        self.inputs = loss.inputs.astype(precision)
        self.probabilities = probabilities.astype(precision)
        self.penalty = loss.penalty.astype(precision)
        classes = probabilities.shape[1]
        curvature = probabilities * (1 - probabilities)
        mean = curvature.sum(axis=1) / (classes - 1 if self.exclusive else classes)
        root = np.sqrt(loss.strength * mean).astype(precision)
        scaled = self.inputs * root[:, None]
        shared = scaled.T @ scaled
        shared[np.diag_indices_from(shared)] += self.penalty
        shared[-1, -1] += precision(SMALLEST_CURVATURE)
        self.factor = cho_factor(shared, overwrite_a=True)

    def product(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        change = self.probabilities * (self.inputs @ weights.T)
        if self.exclusive:
            change -= self.probabilities * change.sum(axis=1, keepdims=True)
        else:
            change -= self.probabilities * change
        return self.strength * (change.T @ self.inputs) + weights * self.penalty

    def precondition(self, residual: NDArray[np.floating]) -> NDArray[np.floating]:
        return cho_solve(self.factor, residual.T).T

    def norm(self, gradient: Floats) -> float:
        """The distance from the minimum, as the preconditioner measures it."""
        residual = gradient.astype(self.inputs.dtype)
        return float(np.sqrt((residual * self.precondition(residual)).sum()))

    def solve(self, gradient: Floats, tolerance: float) -> Floats:
        """The Newton step (K, D + 1), by preconditioned conjugate gradients until the
        residual is `tolerance` times the gradient.
        """
        scale = np.abs(gradient).max()
        residual = (gradient / scale).astype(self.inputs.dtype)
        step = np.zeros_like(residual)
        conditioned = self.precondition(residual)
        direction = conditioned
        square = (residual * conditioned).sum()
        enough = tolerance**2 * square
        for _ in range(MOST_PRODUCTS):
            product = self.product(direction)
            length = square / (direction * product).sum()
            step += length * direction
            residual -= length * product
            conditioned = self.precondition(residual)
            previous = square
            square = (residual * conditioned).sum()
            if square <= enough:
                break
            direction = conditioned + square / previous * direction
        return step.astype(float) * scale
