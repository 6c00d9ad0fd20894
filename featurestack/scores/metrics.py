"""Scores of predicted probabilities, for training and reports: pure functions of
arrays. `metric` says which kind of task has a score; those of tags are in
`scores.tags`.

Conventions: N clips, K classes. Macro averages go over the classes that have test
clips; a class that is never predicted has precision 0. No torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.quantities import percent
from featurestack.commandline.registry import Registry

SMALLEST_PROBABILITY = 1e-12  # limits the loss of a clip to 27.6

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]
Scorer = TypeVar("Scorer", bound=Callable[..., float])


def confusion_matrix(target: Ints, predicted: Ints, classes: int) -> Ints:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    cell = target * classes + predicted
    counts = np.bincount(cell, minlength=classes**2)
    return counts.reshape(classes, classes)


def decision_scores(labels: Labels, decided: Labels) -> dict[str, Floats]:
    """Precision, recall, F1 and support (K,) of decisions (N, K). scikit-learn takes
    milliseconds to check its input; a report asks hundreds of times.
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
class Prediction:
    """One set of predictions, and what several scores share: (N, K) each."""

    labels: Labels  # whether a clip has a class
    probabilities: Probabilities
    decided: Labels  # whether a class is predicted
    # by which clips are ordered within a class: probabilities, or of several folds with
    # several labels their ranks within the fold
    order: Probabilities

    @cached_property
    def by_class(self) -> dict[str, Floats]:
        return decision_scores(self.labels, self.decided)

    def macro(self, name: str) -> float:
        """The mean of one of `by_class` over the classes with test clips, else NaN."""
        tested = self.by_class["support"] > 0
        return float(self.by_class[name][tested].mean()) if tested.any() else np.nan


# kind of task -> the scores of the test clips of one fold
METRICS: dict[str, Registry[Callable[[Any], float]]] = {}


def metric(kind: str, name: str = "") -> Callable[[Scorer], Scorer]:
    """Decorator: a score of `prediction`, for one kind of tasks."""
    return METRICS.setdefault(kind, Registry("metric")).register(name)


@metric("classes")
def accuracy(prediction: Prediction) -> float:
    """Share of clips whose most probable class is the true one."""
    correct = (prediction.labels & prediction.decided).any(axis=1)
    return float(correct.mean())


@metric("classes")
def balanced_accuracy(prediction: Prediction) -> float:
    """Mean recall over the classes, however many clips each has."""
    return prediction.macro("recall")


@metric("classes")
def macro_precision(prediction: Prediction) -> float:
    """Mean precision over the classes."""
    return prediction.macro("precision")


@metric("classes")
def macro_f1(prediction: Prediction) -> float:
    """Mean F1 over the classes."""
    return prediction.macro("f1")


@metric("classes")
def log_loss(prediction: Prediction) -> float:
    """Mean negative natural logarithm of the true class's probability."""
    of_true_class = prediction.probabilities[prediction.labels].astype(np.float64)
    losses = -np.log(np.maximum(of_true_class, SMALLEST_PROBABILITY))
    return float(losses.mean())


def largest_first(values: NDArray[np.number]) -> Ints:
    """Places along the last axis, the largest value first; equal values keep their
    order, NaN comes last.
    """
    return np.argsort(-values, kind="stable")


def most_confused(counts: Ints | Floats, pairs: int = 3) -> list[tuple[int, int]]:
    """The most frequent errors (true, predicted) in a matrix (K, K)."""
    errors = counts - np.diag(counts.diagonal())
    worst = largest_first(errors.ravel())[:pairs].tolist()
    return [divmod(place, len(errors)) for place in worst if errors.flat[place]]


def by_unit(unit: str) -> str:
    """The unit that the bootstrap of an interval draws, in words."""
    return f"by {unit}" + (", for these recordings alone" if unit == "block" else "")


@dataclass(frozen=True)
class Score:
    """The score of a configuration, a mean over its seeds, its 95 % interval by
    recording (NaN for a single recording), and the folds' own means over seeds.
    """

    mean: float
    low: float
    high: float
    by_fold: "pd.Series[float]"
    unit: str = ""  # `block` if the interval is by block of few recordings

    def __str__(self) -> str:
        """
        >>> str(Score(0.835, 0.791, 0.87, pd.Series([0.83, 0.84])))
        '83.5 % (95 % CI 79.1 to 87.0)'
        """
        text = f"{percent(self.mean)} %"
        if not self.interval:
            return text
        by = f", {by_unit(self.unit)}" if self.unit == "block" else ""
        return f"{text} (95 % CI {self.interval}{by})"

    @property
    def interval(self) -> str:
        """`79.1 to 87.0`; '' if there is none."""
        if np.isnan(self.low):
            return ""
        return f"{percent(self.low)} to {percent(self.high)}"
