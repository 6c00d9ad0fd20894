"""The linear model: logistic regression on standardised numbers, with an L2 penalty.

Training (MODEL=linear) and the checks of a dataset fit the same model, so that their
percentages agree.

Conventions: N clips, D numbers of a clip, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestack.results.training_options import STRENGTH
from featurestack.scores.metrics import Floats

# logit of a class without training clips: finite, but its probability is 0 in float32
ABSENT = -1000.0
# Numbers that a feature of a set counts as at most: as stft, the widest made by hand. A
# vector of 8,192 would drown 1,024 others: with it YAMNet has 85.2 % and not 80.8, on
# folds 1 to 3 of ESC-50, each tested by the model of the two others.
WIDEST = 2050


@dataclass(frozen=True)
class LinearModel:
    """Standardise, then one linear layer."""

    mean: Floats  # (D,)
    scale: Floats  # (D,), 1 for a constant number
    weight: Floats  # (K, D)
    bias: Floats  # (K,)

    def logits(self, x: NDArray[np.floating]) -> Floats:
        """(N, K) of x (N, D)."""
        return (x - self.mean) / self.scale @ self.weight.T + self.bias


def strengths(widths: Sequence[int], strength: float = STRENGTH) -> Floats:
    """(D,) C of each number of a set of features with so many numbers (F,): a number of
    a feature with more than WIDEST has a smaller one, the mean of all is `strength`.
    """
    own = np.array(widths, float)
    counted = np.minimum(own, WIDEST)
    shares = counted / own * (own.sum() / counted.sum())
    return np.repeat(strength * shares, widths)


def fit(
    x: NDArray[np.floating],
    y: NDArray[np.integer] | NDArray[np.bool_],
    classes: int,
    strength: float | Floats = STRENGTH,
    originals: NDArray[np.bool_] | None = None,
    class_weights: NDArray[np.floating] | None = None,
) -> LinearModel:
    """The model of training clips x (N, D) and class numbers y (N,).

    If y is (N, K), with 1 for each label of a clip, each class is fitted against the
    rest. A class without clips is never predicted.

    strength       C, one over the strength of the penalty; of each number if it is (D,)
    originals      (N,) the clips that give means and deviations; by default all
    class_weights  (K,) as how many clips a clip of each class counts; if y is (N, K),
                   a clip that has the label
    """
    from threadpoolctl import threadpool_limits

    exact = x.astype(np.float64)
    mean, scale = means_and_deviations(exact if originals is None else exact[originals])
    largest = np.max(strength)
    scale = scale / np.sqrt(strength / largest)
    standard = exact
    standard -= mean
    standard /= scale
    weight = np.zeros((classes, x.shape[1]))
    bias = np.full(classes, ABSENT)
    counts: NDArray[np.floating] = np.ones((len(y), 1))
    if y.ndim == 2:
        everywhere = y.all(axis=0)
        bias[everywhere] = -ABSENT
        fitted = np.flatnonzero(y.any(axis=0) & ~everywhere)
        target = y[:, fitted] > 0
        if class_weights is not None:
            counts = np.where(target, class_weights[fitted], 1.0)
    else:
        fitted = np.unique(y)
        target = y[:, None] == fitted
        if class_weights is not None:
            counts = class_weights[y][:, None]
    exclusive = y.ndim == 1 and len(fitted) > 2
    if y.ndim == 1 and len(fitted) == 2:
        # one row, the log odds of the second class, as scikit-learn has it
        bias[fitted[0]] = 0
        fitted = fitted[1:]
        target = target[:, 1:]
    if len(fitted):
        # it imports scipy.linalg, a tenth of the time of commands that train nothing
        from featurestack.linear.minimise import minimise

        # one thread: sums have the same order on every machine
        with threadpool_limits(1):
            solution = minimise(standard, target, largest, exclusive, counts)
        weight[fitted], bias[fitted] = solution
    return LinearModel(mean, scale, weight, bias)


def means_and_deviations(x: Floats) -> tuple[Floats, Floats]:
    """(D,) means and deviations of x (N, D), to the bit those of scikit-learn's
    StandardScaler; the deviation of a constant column is 1.
    """
    clips = np.float64(len(x))
    mean = x.sum(axis=0) / clips
    centred = x - mean
    correction = centred.sum(axis=0)
    centred **= 2
    variance = (centred.sum(axis=0) - correction**2 / clips) / clips
    rounding = np.finfo(np.float64).eps
    constant = variance <= clips * rounding * variance + (clips * mean * rounding) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))
