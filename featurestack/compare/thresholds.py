"""Thresholds above which a clip has a class, if it may have several labels or none.

Conventions as in `compare.metrics`.
"""

import numpy as np

from featurestack.compare.metrics import (
    Floats,
    Ints,
    Labels,
    Probabilities,
    largest_first,
)

NEVER = 1.0  # no probability is above it
UNFITTED = 0.5  # threshold of a class without a clip to fit it to


def fit_thresholds(target: Labels, probabilities: Probabilities) -> Floats:
    """The thresholds (K,) with the highest F1 on these clips."""
    thresholds = np.full(target.shape[1], NEVER)
    for column in np.flatnonzero(target.any(axis=0)):
        values = probabilities[:, column]
        order = largest_first(values)
        ordered = values[order].astype(np.float64)
        ordered = np.append(ordered, 0)
        predicted = np.arange(1, len(order) + 1)
        hits = np.cumsum(target[order, column])
        f1 = 2 * hits / (predicted + hits[-1])
        last_of_equals = np.diff(ordered) < 0  # equals are predicted together
        best = int(np.where(last_of_equals, f1, -1).argmax())
        thresholds[column] = ordered[best : best + 2].mean()
    return thresholds


def cross_fitted_thresholds(
    target: Labels, probabilities: Probabilities, folds: Ints
) -> Floats:
    """Each clip's thresholds (N, K), fitted to the clips of the other folds."""
    thresholds = np.empty(target.shape)
    for fold in np.unique(folds):
        others = folds != fold
        thresholds[~others] = fit_thresholds(target[others], probabilities[others])
    return thresholds


def thresholds_of_run(
    labels: Labels, probabilities: Probabilities, folds: Ints, *, whole: bool
) -> Floats:
    """(K,) the thresholds with the highest F1 on all tested clips.

    A clip counts for the classes that its fold's model was trained on: those tested in
    the other folds. It counts for all classes if some fold is unfinished, so that the
    run is not `whole`, or only one fold is tested. A class that none of its clips has
    gets UNFITTED.
    """
    tested, fold_of_clip = np.unique(folds, return_inverse=True)
    present = np.stack([labels[folds == fold].any(axis=0) for fold in tested])
    other_folds = present.sum(axis=0) - present
    elsewhere = other_folds > 0
    if len(tested) == 1 or not whole:  # not all other folds are known
        elsewhere[:] = True
    trained = elsewhere[fold_of_clip]
    target = labels & trained
    thresholds = fit_thresholds(target, probabilities * trained)
    return np.where(target.any(axis=0), thresholds, UNFITTED)
