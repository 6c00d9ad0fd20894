"""Scores of one set of predictions: decisions, accuracy, recall, F1, log loss.

Conventions: N clips, K classes, S seeds; `labels` (N, K) bool says whether a clip has a
class; `probabilities` are (N, K) or, of several seeds, (S, N, K). Macro averages go
over the classes that have test clips.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SMALLEST_PROBABILITY = 1e-12  # limits the loss of a clip to 27.6
SUM_TOLERANCE = 1e-3  # probabilities whose sum differs more from 1 are damaged
DEFAULT_THRESHOLD = 0.5
TIE = 1e-6  # by which share the probability of the true class is lowered in a tie

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]


# ---- targets and predictions


def indicator(targets: Ints, classes: int) -> Labels:
    """(N, K): whether each clip has each class, from `Task.targets`."""
    if targets.ndim == 2:
        return targets > 0
    return targets[:, None] == np.arange(classes)


def class_weights(counts: Ints) -> Floats:
    """(K,) the weight of a clip of each class, from the numbers of clips (K,), so that
    every class with clips counts the same; the mean over the clips is 1.
    """
    return counts.sum() / np.maximum(counts, 1) / max(np.count_nonzero(counts), 1)


def within_classes(targets: Ints) -> Labels:
    """(N,): whether each clip's labels are among the classes."""
    within: Labels = np.all(np.atleast_2d(targets.T) >= 0, axis=0)
    return within


def are_probabilities(probabilities: Probabilities, *, multilabel: bool) -> Labels:
    """(N,): whether numbers can be the probabilities of a clip."""
    possible: Labels = np.all((probabilities >= 0) & (probabilities <= 1), axis=1)
    if multilabel:
        return possible
    sums = probabilities.sum(axis=1, dtype=np.float64)
    return (probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)


def tied(values: Floats, labels: Labels) -> Labels:
    """(N,): whether the true class shares the highest probability with another."""
    highest = values == values.max(axis=1, keepdims=True)
    among: Labels = (highest & labels).any(axis=1) & (highest.sum(axis=1) > 1)
    return among


def lost_ties(values: Floats, labels: Labels) -> Floats:
    """Probabilities (N, K) in which the true class loses a tie with another class."""
    ties = tied(values, labels)[:, None]
    return np.where(ties & labels, values * (1 - TIE), values)


def decide(
    probabilities: Probabilities, thresholds: Floats | float | None = None
) -> Labels:
    """(…, N, K): the most probable class, or with thresholds all above theirs."""
    if thresholds is not None:
        return probabilities > thresholds
    classes = probabilities.shape[-1]
    return np.eye(classes, dtype=bool)[probabilities.argmax(axis=-1)]


def decision_scores(labels: Labels, decided: Labels) -> dict[str, Floats]:
    """Precision, recall, F1 and support (K,) of decisions (N, K). scikit-learn takes
    milliseconds to check its input; a report asks hundreds of times. A class that is
    never predicted has precision 0.
    """
    hits = (labels & decided).sum(axis=0)
    support = labels.sum(axis=0)
    predictions = decided.sum(axis=0)
    return {
        "precision": hits / np.maximum(predictions, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(support + predictions, 1),
        "support": support,
    }


@dataclass(frozen=True)
class Evaluation:
    """One set of predictions, and what several scores share: (N, K) each."""

    labels: Labels  # whether a clip has a class
    probabilities: Probabilities
    decided: Labels  # whether a class is predicted
    # what orders clips within a class: probabilities, or their ranks within the fold if
    # there are several labels and folds
    order: Probabilities

    @cached_property
    def macro(self) -> dict[str, float]:
        """Means of `decision_scores` over the classes with test clips, else NaN."""
        by_class = decision_scores(self.labels, self.decided)
        tested = by_class["support"] > 0
        if not tested.any():
            return dict.fromkeys(by_class, np.nan)
        return {name: float(scores[tested].mean()) for name, scores in by_class.items()}


ScoreFunction = Callable[[Evaluation], float]
Scores = Mapping[str, ScoreFunction]


@dataclass(frozen=True)
class Score:
    """A score of a report: the column of its tables, on the page too, where it is
    sorted by its value.
    """

    function: ScoreFunction
    heading: str
    kind: str = "decimals"  # of its cell: percent or decimals
    less: bool = False  # whether less is better


def accuracy(evaluation: Evaluation) -> float:
    """Share of clips whose most probable class is the true one."""
    correct = (evaluation.labels & evaluation.decided).any(axis=1)
    return float(correct.mean())


def log_loss(evaluation: Evaluation) -> float:
    """Mean negative natural logarithm of the true class's probability."""
    of_true_class = evaluation.probabilities[evaluation.labels].astype(np.float64)
    losses = -np.log(np.maximum(of_true_class, SMALLEST_PROBABILITY))
    return float(losses.mean())


def balanced_accuracy(evaluation: Evaluation) -> float:
    """Mean recall over the classes, however many clips each has."""
    return evaluation.macro["recall"]


def macro_f1(evaluation: Evaluation) -> float:
    """Mean F1 of the classes with test clips."""
    return evaluation.macro["f1"]


def binary_log_loss(evaluation: Evaluation) -> float:
    """Mean binary cross-entropy."""
    of_absence = 1 - evaluation.probabilities.astype(np.float64)
    true = np.where(evaluation.labels, evaluation.probabilities, of_absence)
    return float(-np.log(np.maximum(true, SMALLEST_PROBABILITY)).mean())


def largest_first(values: NDArray[np.number]) -> Ints:
    """Places along the last axis, the largest first; equals keep their order."""
    return np.argsort(-values, kind="stable")
