"""Calibration: whether probabilities are as high as the share of correct predictions,
and the temperature that is fitted to clips on which the model was not trained. Arrays
in, arrays out. No torch.

The temperature divides the logits of one label a clip (Guo et al. 2017); it changes
confidences, not predictions.

Conventions: N clips, K classes; class numbers (N,); `probabilities` (N, K).
"""

import numpy as np

from featurestack.scores.metrics import (
    SMALLEST_PROBABILITY,
    Floats,
    Ints,
    Probabilities,
)

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
FEWEST_CLIPS = 30  # the temperature of fewer clips is 1
# equal widths, as in Guo et al. 2017, "On calibration of modern neural networks"
CALIBRATION_BINS = 15


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


def calibration_error(target: Ints, probabilities: Probabilities) -> float:
    """Expected calibration error: mean |confidence - accuracy| over bins, weighted by
    their clips. Of a single fold's few clips it is mostly noise.
    """
    bins = reliability(target, probabilities)
    gaps = np.abs(bins["confidence"] - bins["accuracy"])
    return float(np.average(gaps, weights=bins["clips"]))


def calibration_floor(probabilities: Probabilities) -> float:
    """The expected calibration error of a perfectly calibrated model.

    |correct - expected| of a bin is, on average, sqrt(2 / pi) times the standard
    deviation of the number of correct clips.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    place = _bin(confidence, CALIBRATION_BINS)
    variance = np.bincount(place, weights=confidence * (1 - confidence))
    distances = np.sqrt(2 / np.pi * variance.clip(0))
    return float(distances.sum() / len(confidence))


def reliability(
    target: Ints,
    probabilities: Probabilities,
    bins: int = CALIBRATION_BINS,
) -> dict[str, Floats]:
    """Bins of the predicted class's probability: mean confidence, accuracy and clips,
    (bins,) each, 0 of a bin without clips.
    """
    confidence = probabilities.max(axis=1)
    place = _bin(confidence, bins)
    clips = np.bincount(place, minlength=bins).astype(float)
    correct = probabilities.argmax(axis=1) == target
    sum_of_confidence = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=correct, minlength=bins)
    divisor = np.maximum(clips, 1)
    return {
        "confidence": sum_of_confidence / divisor,
        "accuracy": hits / divisor,
        "clips": clips,
    }


def _bin(confidence: Probabilities, bins: int) -> Ints:
    place = (confidence * bins).astype(int)
    return np.minimum(place, bins - 1)
