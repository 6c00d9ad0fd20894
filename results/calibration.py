"""Calibration of predictions for new audio: temperature, thresholds and rejection,
fitted to clips that the model was not trained on. No torch.

The temperature divides the logits of one label a clip (Guo et al. 2017); it changes
confidences, not predictions. A class's threshold decides whether a clip with several
labels, or a window of a recording, has the class. An answer whose probability is below
the rejection threshold is withheld.

Conventions: N clips, K classes; class numbers (N,), `target` (N, K) bool;
`probabilities` (N, K).
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache.table import label_indicator
from featurestack.results.config import Calibration, Epoch
from featurestack.results.scores import SMALLEST_PROBABILITY, Floats, Ints

if TYPE_CHECKING:
    from featurestack.results.run_folder import RunFolder

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
FEWEST_CLIPS = 30  # with fewer clips the temperature is 1
UNFITTED = 0.5  # threshold of a class without a clip to fit it to
NEVER = 1.0  # no probability is above it
WANTED_ACCURACY = 0.95  # accuracy of predictions above the rejection threshold


# ---- temperature


def scaled(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Probabilities (N, K) with their logits divided by the temperature; above 1
    confidence falls.

    >>> scaled(np.array([[0.8, 0.2]]), 0.5).round(2)
    array([[0.94, 0.06]])
    """
    positive = np.maximum(probabilities, SMALLEST_PROBABILITY)
    logits = np.log(positive) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    divided = raised / raised.sum(axis=1, keepdims=True)
    return divided.astype(probabilities.dtype)


def fit_temperature(target: Ints, probabilities: Probabilities) -> float:
    """The temperature of the least log loss on these clips, which the model must not
    have been trained on.
    """
    return _least(_losses(target, probabilities))


def cross_fitted_temperatures(
    target: Ints,
    probabilities: Probabilities,
    folds: Ints,
) -> dict[int, float]:
    """fold -> temperature, fitted to the clips of the other folds."""
    losses = _losses(target, probabilities)
    temperatures = {}
    for fold in np.unique(folds):
        others = folds != fold
        temperatures[int(fold)] = _least(losses[:, others])
    return temperatures


def _losses(target: Ints, probabilities: Probabilities) -> Floats:
    """(temperatures, N) log loss of each clip at each of TEMPERATURES."""
    clips = np.arange(len(target))
    precise = probabilities.astype(np.float64)
    losses = []
    for temperature in TEMPERATURES:
        of_true_class = scaled(precise, temperature)[clips, target]
        losses.append(-np.log(of_true_class))
    return np.stack(losses)


def _least(losses: Floats) -> float:
    """The temperature at the vertex of the parabola through the least mean loss and its
    neighbours.

    1 if there are fewer than FEWEST_CLIPS.
    """
    if losses.shape[1] < FEWEST_CLIPS:
        return 1.0
    means = losses.mean(axis=1)
    inside = np.clip(means.argmin(), 1, len(means) - 2)
    place = int(inside)
    below, least, above = means[place - 1 : place + 2]
    curvature = below - 2 * least + above
    step = 0.0
    if curvature > 0:
        step = 0.5 * (below - above) / curvature
    step = np.clip(step, -1, 1)
    ratio = TEMPERATURES[1] / TEMPERATURES[0]
    return float(TEMPERATURES[place] * ratio**step)


# ---- thresholds


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


# ---- rejection


def rejection_threshold(
    target: Ints,
    probabilities: Probabilities,
    accuracy: float = WANTED_ACCURACY,
) -> float:
    """The least threshold at which the remaining answers reach this accuracy on these
    clips; 1 if none does.

    An answer is withheld if its highest probability is below the threshold.
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


# ---- of a run


def calibrate(run: "RunFolder") -> dict[Epoch, Calibration]:
    """Selection -> calibration for new audio, fitted to all clips tested so far.

    The rejection threshold is fitted to the validation clips; with tags it is None and
    the temperature 1. Tags and windows have thresholds.
    """
    task = run.task
    fitted: dict[Epoch, Calibration] = {}
    for selection in run.predictions()["selection"].unique():
        tested = run.scored(selection=selection)
        labels = task.labels(tested["target"], run.classes)
        probabilities = tested[run.classes].to_numpy(np.float32)
        temperature = task.fit_temperature(labels, probabilities)
        rejection = None
        if run.validated:
            rows = run.scored(split="val", selection=selection)
            known = task.labels(rows["target"], run.classes)
            answers = rows[run.classes].to_numpy(np.float32)
            rejection = task.fit_rejection(known, task.scaled(answers, temperature))
        thresholds = None
        if task.by_threshold or run.training.windows:
            thresholds = thresholds_of_run(run, selection, temperature)
        fitted[selection] = Calibration(
            temperature=temperature,
            clips=len(tested),
            thresholds=thresholds,
            rejection=rejection,
        )
    return fitted


def thresholds_of_run(
    run: "RunFolder",
    selection: str,
    temperature: float,
) -> dict[str, float]:
    """Each class's threshold with the highest F1, on validation windows if any, else on
    all tested clips.

    A clip counts for the classes that its fold's model was trained on: those tested in
    the other folds. It counts for all classes if some fold is unfinished, or one fold
    alone is tested. A class that none of its clips has gets UNFITTED.
    """
    tested = run.scored(selection=selection)
    labels = label_indicator(tested["target"], run.classes)
    by_fold = [labels[tested["fold"] == fold].any(axis=0) for fold in run.finished]
    present = np.stack(by_fold)
    other_folds = present.sum(axis=0) - present
    elsewhere = other_folds > 0
    # not all other folds are known
    if len(run.finished) == 1 or run.finished != run.folds:
        elsewhere[:] = True

    split = "val" if run.validated and run.training.windows else "test"
    rows = run.scored(split=split, selection=selection)
    uncalibrated = rows[run.classes].to_numpy(np.float32)
    probabilities = run.task.scaled(uncalibrated, temperature)
    place = pd.Index(run.finished).get_indexer(rows["fold"])
    trained = elsewhere[place]
    target = label_indicator(rows["target"], run.classes) & trained
    thresholds = fit_thresholds(target, probabilities * trained)
    known = np.where(target.any(axis=0), thresholds, UNFITTED)
    return dict(zip(run.classes, known.tolist()))
