"""The calibration of a run for new audio: the temperature that divides the logits (Guo
et al. 2017), which changes confidences, not predictions; thresholds of several labels.

Conventions as in `comparison.metrics`.
"""

import numpy as np

from featurestack.comparison.metrics import (
    SMALLEST_PROBABILITY,
    Floats,
    Ints,
    Labels,
    Probabilities,
    indicator,
)
from featurestack.results.config import Calibration, Epoch
from featurestack.results.run_folder import RunFolder

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
UNFITTED = 0.5  # threshold of a class without a clip to fit it to
FEWEST_CLIPS = 30  # the temperature of fewer clips is 1


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
    """The temperature of the least log loss on clips that trained no model: at the
    vertex of the parabola through the least tried one and its neighbours; 1 if there
    are fewer clips than FEWEST_CLIPS.
    """
    if len(target) < FEWEST_CLIPS:
        return 1.0
    clips = np.arange(len(target))
    positive = np.maximum(probabilities, SMALLEST_PROBABILITY, dtype=np.float64)
    logits = np.log(positive)
    logits -= logits.max(axis=1, keepdims=True)
    of_true_class = logits[clips, target]
    losses = []
    for temperature in TEMPERATURES:
        total = np.exp(logits / temperature).sum(axis=1)
        losses.append((np.log(total) - of_true_class / temperature).mean())
    place = int(np.clip(np.argmin(losses), 1, len(losses) - 2))
    below, least, above = losses[place - 1 : place + 2]
    curvature = below - 2 * least + above
    step = 0.0
    if curvature > 0:
        step = 0.5 * (below - above) / curvature
    step = np.clip(step, -1, 1)
    ratio = TEMPERATURES[1] / TEMPERATURES[0]
    return float(TEMPERATURES[place] * ratio**step)


def thresholds_of_run(
    labels: Labels, probabilities: Probabilities, folds: Ints, *, whole: bool
) -> Floats:
    """(K,) the thresholds with the highest F1 on all tested clips.

    A clip counts for the classes that its fold's model was trained on: those tested in
    the other folds. It counts for all classes if some fold is unfinished, so that the
    run is not `whole`, or only one fold is tested. A class that none of its clips has
    gets UNFITTED.
    """
    from featurestack.comparison.average_precision import fit_thresholds

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


def calibrate(run: RunFolder) -> dict[Epoch, Calibration]:
    """Selection -> calibration for new audio, fitted to all clips tested so far."""
    task = run.task
    fitted: dict[Epoch, Calibration] = {}
    for selection in run.predictions()["selection"].unique():
        tested = run.scored(selection=selection)
        targets = task.targets(tested["target"], run.classes)
        labels = indicator(targets, len(run.classes))
        probabilities = tested[run.classes].to_numpy(np.float32)
        temperature, thresholds = 1.0, None
        if task.multilabel:
            folds = tested["fold"].to_numpy()
            whole = run.finished == run.folds
            values = thresholds_of_run(labels, probabilities, folds, whole=whole)
            thresholds = dict(zip(run.classes, values.tolist()))
        else:
            temperature = fit_temperature(labels.argmax(axis=1), probabilities)
        fitted[selection] = Calibration(
            temperature=temperature, clips=len(tested), thresholds=thresholds
        )
    return fitted
