"""Scores of predicted probabilities: arrays in, plain numbers out.

Conventions: N clips, K classes; `target` (N,) holds class numbers, `probabilities` (N, K) rows that
sum to one; the prediction is the first of the most probable classes. Macro averages go over the
classes that have test clips; a class that is never predicted has precision 0. Nothing here reads,
writes or warns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15  # equal widths, as in Guo et al. 2017, "On calibration of modern neural networks"
SMALLEST_PROBABILITY = 1e-7  # keeps the log loss finite where the true class was given zero

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def validate(target: Ints, probabilities: Floats) -> None:
    """Raise ValueError unless the two describe the same clips and the rows are probabilities."""
    if probabilities.ndim != 2 or target.shape != probabilities.shape[:1]:
        raise ValueError(f"target {target.shape} and probabilities {probabilities.shape} do not match")
    if not len(target):
        raise ValueError("no clips: a score needs at least one")
    if target.min() < 0 or target.max() >= probabilities.shape[1]:
        raise ValueError(f"target {target.max()} is outside the {probabilities.shape[1]} classes")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise ValueError("each row of probabilities should sum to one")


@dataclass(frozen=True)
class Prediction:
    """One set of predictions with what several scores share, each computed once."""

    target: Ints  # (N,)
    probabilities: Floats  # (N, K)
    predicted: Ints  # (N,)
    by_class: dict[str, Floats]  # precision, recall, f1, support: (K,) each


def predict(target: Ints, probabilities: Floats) -> Prediction:
    """Validated predictions of N clips, ready to be scored."""
    validate(target, probabilities)
    predicted = probabilities.argmax(axis=1)
    return Prediction(
        target, probabilities, predicted, class_scores(target, predicted, probabilities.shape[1])
    )


def class_scores(target: Ints, predicted: Ints, classes: int) -> dict[str, Floats]:
    """Precision, recall, F1 and support (the number of test clips) of each of the K classes.

    scikit-learn gives the same, but checks its input for milliseconds: a report asks hundreds of times.
    """
    counts = confusion(target, predicted, classes)
    hits, support, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return {
        "precision": hits / np.maximum(said, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(support + said, 1),
        "support": support,
    }


METRICS: dict[str, Callable[[Prediction], float]] = {}


def metric(function: Callable[[Prediction], float]) -> Callable[[Prediction], float]:
    """Register a score under its function's name; tables and reports pick it up."""
    if function.__name__ in METRICS:
        raise ValueError(f"metric {function.__name__!r} is registered twice")
    METRICS[function.__name__] = function
    return function


@metric
def accuracy(prediction: Prediction) -> float:
    """Share of clips whose most probable class is the true one."""
    return float((prediction.predicted == prediction.target).mean())


@metric
def balanced_accuracy(prediction: Prediction) -> float:
    """Mean recall over the classes: every class counts alike however many clips it has."""
    return _macro(prediction, "recall")


@metric
def macro_precision(prediction: Prediction) -> float:
    """Mean precision over the classes."""
    return _macro(prediction, "precision")


@metric
def macro_recall(prediction: Prediction) -> float:
    """Mean recall over the classes; the same number as balanced accuracy, under its other name."""
    return _macro(prediction, "recall")


@metric
def macro_f1(prediction: Prediction) -> float:
    """Mean F1 over the classes."""
    return _macro(prediction, "f1")


@metric
def top3(prediction: Prediction) -> float:
    """Share of clips whose true class is among the three most probable."""
    probabilities, target = prediction.probabilities, prediction.target
    of_target = np.take_along_axis(probabilities, target[:, None], axis=1)
    # A class of equal probability goes first if it stands first, as in the prediction itself.
    ahead = (probabilities > of_target) | (
        (probabilities == of_target) & (np.arange(probabilities.shape[1]) < target[:, None])
    )
    return float((ahead.sum(axis=1) < 3).mean())


@metric
def log_loss(prediction: Prediction) -> float:
    """Mean negative natural logarithm of the true class's probability."""
    of_target = np.take_along_axis(prediction.probabilities, prediction.target[:, None], axis=1)
    return float(-np.log(np.maximum(of_target, SMALLEST_PROBABILITY)).mean())


@metric
def calibration_error(prediction: Prediction) -> float:
    """Expected calibration error: mean |confidence - accuracy| over bins, weighted by their clips."""
    bins = reliability(prediction)
    gap = np.abs(bins["confidence"] - bins["accuracy"])
    return float((gap * bins["clips"]).sum() / bins["clips"].sum())


def _macro(prediction: Prediction, name: str) -> float:
    tested = prediction.by_class["support"] > 0
    return float(prediction.by_class[name][tested].mean())


def scores(target: Ints, probabilities: Floats) -> dict[str, float]:
    """Every registered metric of one set of predictions."""
    prediction = predict(target, probabilities)
    return {name: function(prediction) for name, function in METRICS.items()}


def reliability(prediction: Prediction, bins: int = CALIBRATION_BINS) -> dict[str, Floats]:
    """Bins of the predicted class's probability: mean confidence, accuracy and clips, (bins,) each.

    A bin without clips has zeros.
    """
    confidence = prediction.probabilities.max(axis=1)
    correct = prediction.predicted == prediction.target
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    clips = np.bincount(place, minlength=bins).astype(float)
    filled = np.maximum(clips, 1)
    return {
        "confidence": np.bincount(place, weights=confidence, minlength=bins) / filled,
        "accuracy": np.bincount(place, weights=correct, minlength=bins) / filled,
        "clips": clips,
    }


def confusion(target: Ints, predicted: Ints, classes: int) -> Floats:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    cells = np.bincount(target * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes).astype(float)
