"""Thresholds of probabilities, fitted to clips that the model was not trained on:
arrays in, arrays out. No torch.

A class's threshold decides whether a clip with several labels, or a window of a
recording, has the class. An answer whose probability is below the rejection threshold
is withheld.

Conventions: N clips, K classes; class numbers (N,), `target` (N, K) bool;
`probabilities` (N, K).
"""

import numpy as np

from featurestack.results.calibration import Labels, Probabilities
from featurestack.results.scores import Floats, Ints

NEVER = 1.0  # no probability is above it

WANTED_ACCURACY = 0.95  # accuracy of predictions above the rejection threshold


def fit_thresholds(target: Labels, probabilities: Probabilities) -> Floats:
    """The thresholds (K,) with the highest F1 on these clips; a class is predicted
    above its threshold.
    """
    thresholds = np.full(target.shape[1], NEVER)
    for column in np.flatnonzero(target.any(axis=0)):
        values = probabilities[:, column]
        order = np.argsort(-values, kind="stable")
        ordered = values[order].astype(np.float64)
        ordered = np.append(ordered, 0)
        predicted = np.arange(1, len(order) + 1)
        hits = np.cumsum(target[order, column])
        f1 = 2 * hits / (predicted + hits[-1])
        # equals are predicted together
        last_of_equals = np.diff(ordered) < 0
        best = int(np.where(last_of_equals, f1, -1).argmax())
        thresholds[column] = ordered[best : best + 2].mean()
    return thresholds


def cross_fitted_thresholds(
    target: Labels,
    probabilities: Probabilities,
    folds: Ints,
) -> Floats:
    """Each clip's thresholds (N, K), fitted to the clips of the other folds."""
    thresholds = np.empty(target.shape)
    for fold in np.unique(folds):
        others = folds != fold
        thresholds[~others] = fit_thresholds(target[others], probabilities[others])
    return thresholds


def rejection_threshold(
    target: Ints,
    probabilities: Probabilities,
    accuracy: float = WANTED_ACCURACY,
) -> float:
    """The least threshold at which the remaining answers reach this accuracy on these
    clips; 1 if none does.

    An answer is withheld if its highest probability is below the threshold. New clips
    reach a lower accuracy, because the threshold is chosen on these: one or two points
    with 40 clips of a confident model, several points if few answers are sure.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    surest = confidence[order]
    correct = probabilities.argmax(axis=1) == target
    kept = np.arange(1, len(order) + 1)
    hits = np.cumsum(correct[order])
    accurate = hits / kept >= accuracy
    # equals are kept or withheld together
    falls = np.diff(surest) != 0
    last_of_equals = np.append(falls, True)
    possible = surest[accurate & last_of_equals]
    return float(possible.min(initial=1.0))
