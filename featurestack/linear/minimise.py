"""The minimum of a linear model's penalised log loss.

scikit-learn's L-BFGS needs hundreds of steps, since features are correlated, and stops
far from the minimum. Here it needs a few dozen, because each step begins from the
inverse of each class's own second derivatives. These derivatives come from the clips
that the class is still uncertain of, which are so few that a small matrix represents
them (Woodbury's identity). Liu and Nocedal (1989) describe L-BFGS.

Conventions: N clips, D statistics and a constant 1 as the last one, K classes, M active
clips of a class. Weights are (K, D + 1).
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpstrf
from scipy.special import expit, softmax

from featurestack.commandline.terminal import tell_once
from featurestack.scores.metrics import Floats

Array = NDArray[np.floating]
# the inverse of second derivatives times a gradient, both (K, D + 1)
Inverse = Callable[[Array], Array]

# distance from the minimum at which the method ends: probabilities are then within
# 1e-4 of it
NEAR = 1e-4
# error of the loss, as a share of it
ROUNDING = {np.float32: 1e-6, np.float64: 1e-12}
MOST_STEPS = 2_000  # ESC-50 needs 35
PATIENCE = 12  # steps without a smaller distance, after which float32 has had its turn
REMEMBERED = 8  # steps
# Steps after which the second derivatives are computed anew, and clips of each class in
# its small matrix. ESC-50's fold 1 takes 165 products of weights and inputs; with 64
# clips 230 to 260, renewed every 4 steps 175, and Newton's method with conjugate
# gradients and the same inverse took 285.
RENEWED = 8
ACTIVE = 100
STRONGEST = 1e5  # C at which the method begins from zeros
LEAST_SHARE = 0.6  # if the active clips have less of the curvature, classes share it
OF_BIAS = 1e-2  # least second derivative of the bias, which has no penalty
MOST_PRODUCED = 5_000  # clips whose products with each other are kept: 100 MB


def minimise(
    x: Floats,
    target: NDArray[np.bool_],
    strength: float,
    exclusive: bool,
    counts: Array,
) -> tuple[Floats, Floats]:
    """Weights (K, D) and biases (K,) with the smallest penalised log loss of x (N, D),
    that of scikit-learn's LogisticRegression(C=strength).

    float32 is twice as fast; float64 goes on where it gets no nearer.

    exclusive  a clip has one of the classes (softmax); otherwise each class is fitted
               against the rest
    counts     (N, 1), or (N, K) if not exclusive: as how many clips each one counts
    """
    clips, dimensions = x.shape
    if clips < dimensions:
        # The penalty keeps each class's weights within the span of the clips. Their
        # coordinates in it are those of a QR factorisation, made in an eighth of its
        # time from the clips' products; a clip that depends on others adds none.
        factor, order, rank, _ = dpstrf(x @ x.T)
        order -= 1  # LAPACK counts from 1
        factor = np.triu(factor)[:rank]
        coordinates = np.empty((clips, rank))
        coordinates[order] = factor.T
        weight, bias = minimise(coordinates, target, strength, exclusive, counts)
        of_clips = solve_triangular(factor[:, :rank], weight.T)
        return of_clips.T @ x[order[:rank]], bias
    weights = np.zeros((target.shape[1], dimensions + 1))
    precisions: tuple[type[np.floating], ...] = (np.float32, np.float64)
    if strength > STRONGEST:
        # from zeros, and in float32, the first steps are lost in rounding
        weights = np.column_stack(
            minimise(x, target, strength / 100, exclusive, counts)
        )
        precisions = (np.float64,)
    for precision in precisions:
        loss = LogLoss(x, target, strength, exclusive, precision, counts)
        try:
            weights, distance = descend(loss, weights.astype(precision))
        except np.linalg.LinAlgError:  # float32 lost the penalty beside the curvature
            distance = np.inf
        if distance < NEAR:
            break
    weights = weights.astype(float)
    return weights[:, :-1], weights[:, -1]


class LogLoss:
    """Penalised log loss of weights, and its derivatives, in one precision."""

    def __init__(
        self,
        x: Floats,
        target: NDArray[np.bool_],
        strength: float,
        exclusive: bool,
        precision: type[np.floating],
        counts: Array,
    ) -> None:
        self.precision = precision
        # (N, 1) or (N, K)
        self.counts = counts.astype(precision)
        self.inputs = np.column_stack([x, np.ones(len(x))]).astype(precision)
        self.target = target * self.counts  # (N, K)
        self.strength = precision(strength)
        self.exclusive = exclusive
        self.penalty = np.ones(x.shape[1] + 1, precision)
        self.penalty[-1] = 0
        # a penalty that can be divided by
        self.positive = self.penalty.copy()
        self.positive[-1] = OF_BIAS

    @cached_property
    def products(self) -> Array:
        """(N, N) products of the clips' inputs, divided by the positive penalty."""
        return (self.inputs / self.positive) @ self.inputs.T

    def logits(self, weights: Array) -> Array:
        """(N, K)"""
        return self.inputs @ weights.T

    def value(self, weights: Array, logits: Array) -> float:
        if self.exclusive:
            highest = logits.max(axis=1)
            rest = np.exp(logits - highest[:, None]).sum(axis=1)
            normalisers = (highest + np.log(rest)) * self.counts[:, 0]
        else:
            normalisers = np.logaddexp(0, logits) * self.counts
        normaliser = normalisers.sum(dtype=float)
        of_target = (logits * self.target).sum(dtype=float)
        size = (weights**2 * self.penalty).sum(dtype=float)
        return float(self.strength) * (normaliser - of_target) + size / 2

    def probabilities(self, logits: Array) -> Array:
        """(N, K)"""
        if self.exclusive:
            return softmax(logits, axis=1)
        return expit(logits)

    def gradient(self, probabilities: Array, weights: Array) -> Array:
        errors = self.strength * (probabilities * self.counts - self.target)
        return errors.T @ self.inputs + weights * self.penalty

    def step_size(
        self,
        weights: Array,
        logits: Array,
        direction: Array,
        change: Array,
        slope: float,
    ) -> np.floating:
        """The largest of 1, 1/2, 1/4, … at which the loss falls as its slope asks; the
        direction changes the logits by `change` (N, K).
        """
        value = self.value(weights, logits)
        size = self.precision(1)
        # below its rounding, the loss tells nothing
        while slope * size > ROUNDING[self.precision] * value:
            moved = self.value(weights - size * direction, logits - size * change)
            if moved <= value - 1e-4 * float(size) * slope:
                break
            size /= self.precision(2)
        return size

    def inverse(self, probabilities: Array) -> Inverse:
        """An approximate inverse of the second derivatives, class by class."""
        curvature = self.strength * probabilities * (1 - probabilities) * self.counts
        by_class = np.ascontiguousarray(curvature.T)
        clips = min(ACTIVE, len(curvature))
        active = np.argpartition(-by_class, clips - 1)[:, :clips]
        of_active = np.take_along_axis(by_class, active, axis=1)
        share = of_active.sum() / curvature.sum()
        if share < LEAST_SHARE or len(by_class) == 1:
            return shared_inverse(self, curvature)
        return inverse_of_active(self, active, of_active)


class Step(NamedTuple):
    """A step of the weights, and what it changed."""

    weights: Array
    gradient: Array

    @property
    def curvature(self) -> float:
        return float((self.weights * self.gradient).sum())


def descend(loss: LogLoss, weights: Array) -> tuple[Array, float]:
    """Weights near the minimum, and their distance from it by the second derivatives.

    In float32 it ends after PATIENCE steps that brought it no nearer. An end of float64
    that is not near the minimum is told.
    """
    logits = loss.logits(weights)
    probabilities = loss.probabilities(logits)
    gradient = loss.gradient(probabilities, weights)
    memory: deque[Step] = deque(maxlen=REMEMBERED)
    nearest = np.inf
    without_progress = 0
    for number in range(MOST_STEPS):
        if number % RENEWED == 0:
            inverse = loss.inverse(probabilities)
        direction = descent(gradient, memory, inverse)
        slope = float((gradient * direction).sum())
        if not gradient.any():  # it begins at the minimum, as balanced classes may
            nearest = 0.0
        if slope <= 0:  # rounding is larger than the gradient
            break
        distance = slope**0.5
        without_progress += 1
        if distance < nearest:
            nearest = distance
            without_progress = 0
        stuck = loss.precision is np.float32 and without_progress > PATIENCE
        if distance < NEAR or stuck:
            break
        change = loss.logits(direction)
        size = loss.step_size(weights, logits, direction, change, slope)
        weights = weights - size * direction
        logits = logits - size * change
        if number % RENEWED == RENEWED - 1:
            logits = loss.logits(weights)  # sums of changes collect rounding
        probabilities = loss.probabilities(logits)
        former = gradient
        gradient = loss.gradient(probabilities, weights)
        step = Step(-size * direction, gradient - former)
        if step.curvature > 0:  # rounding may make it negative
            memory.append(step)
    rounding = ROUNDING[np.float64] * loss.value(weights, logits)
    if loss.precision is np.float64 and nearest**2 > max(NEAR**2, rounding):
        tell_once(
            f"a linear model was not at its minimum after {number + 1:,} steps: its"
            " probabilities are approximate; a stronger penalty converges sooner, as in"
            " MODEL=linear@C=0.01"
        )
    return weights, nearest


def descent(gradient: Array, memory: Sequence[Step], inverse: Inverse) -> Array:
    """The direction of L-BFGS: `inverse` of the gradient, corrected by steps."""
    direction = gradient.copy()
    shares = []
    for step in reversed(memory):
        share = (step.weights * direction).sum() / step.curvature
        direction -= share.astype(direction.dtype) * step.gradient
        shares.append(share)
    direction = inverse(direction)
    for step, share in zip(memory, reversed(shares)):
        back = (step.gradient * direction).sum() / step.curvature
        direction += (share - back).astype(direction.dtype) * step.weights
    return direction


def shared_inverse(loss: LogLoss, curvature: Array) -> Inverse:
    """One inverse of the second derivatives, by the classes' mean curvature."""
    free_classes = curvature.shape[1]
    if loss.exclusive:
        free_classes -= 1
    mean = curvature.sum(axis=1) / free_classes
    scaled = loss.inputs * np.sqrt(mean)[:, None]
    shared = scaled.T @ scaled
    diagonal = np.diag_indices_from(shared)
    shared[diagonal] += loss.positive
    try:
        factor = cho_factor(shared)
    except np.linalg.LinAlgError:
        if loss.precision is np.float32:
            raise
        # rounding left it indefinite: a floor that is above all rounding
        shared[diagonal] += len(shared) * np.finfo(float).eps * shared.max()
        factor = cho_factor(shared)
    return lambda gradient: cho_solve(factor, gradient.T).T


def inverse_of_active(
    loss: LogLoss, active: NDArray[np.intp], curvature: Array
) -> Inverse:
    """The inverse of each class's second derivatives, from its active clips alone.

    With the penalty P, the active clips' inputs X (M, D + 1) and their curvature C, the
    inverse of P + X'CX is 1/P - 1/P X' (1/C + X 1/P X')^-1 X 1/P.

    active     (K, M) the clips' positions
    curvature  (K, M)
    """
    of_class = np.arange(len(active))[:, None]
    if len(loss.inputs) <= MOST_PRODUCED:
        between = loss.products[active[:, :, None], active[:, None]]
    else:
        inputs = loss.inputs[active]  # (K, M, D + 1)
        between = (inputs / loss.positive) @ inputs.transpose(0, 2, 1)
    diagonal = np.arange(active.shape[1])
    least = np.finfo(loss.precision).tiny
    between[:, diagonal, diagonal] += 1 / np.maximum(curvature, least)
    of_clips = np.linalg.inv(between)  # (K, M, M)
    scores = np.zeros((len(active), len(loss.inputs)), loss.precision)

    def inverse(gradient: Array) -> Array:
        unpenalised = gradient / loss.positive
        by_clip = unpenalised @ loss.inputs.T  # (K, N)
        of_active = by_clip[of_class, active]
        solved = of_clips @ of_active[:, :, None]
        scores[of_class, active] = solved[:, :, 0]
        correction = scores @ loss.inputs
        direction = unpenalised - correction / loss.positive
        if loss.exclusive:
            # equal weights of all classes change nothing: steps have none
            direction -= direction.mean(axis=0)
        return direction

    return inverse
