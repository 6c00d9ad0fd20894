"""Whether probabilities are as high as the share of correct predictions."""

import numpy as np
from numpy.typing import NDArray

from featurestack.results.scores import Floats, Ints, Prediction

# equal widths, as in Guo et al. 2017, "On calibration of modern neural networks"
CALIBRATION_BINS = 15


def calibration_error(prediction: Prediction) -> float:
    """Expected calibration error: mean |confidence - accuracy| over bins, weighted by
    their clips.

    No fold is scored with it: for few clips it is mostly noise, see
    `calibration_floor`.
    """
    bins = reliability(prediction)
    gaps = np.abs(bins["confidence"] - bins["accuracy"])
    return float(np.average(gaps, weights=bins["clips"]))


def calibration_floor(probabilities: NDArray[np.floating]) -> float:
    """The expected calibration error of a perfectly calibrated model with these
    confidences.

    |correct - expected| of a bin is, on average, sqrt(2 / pi) times the standard
    deviation of the number of correct clips.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    place = _bin(confidence, CALIBRATION_BINS)
    variance = np.bincount(place, weights=confidence * (1 - confidence))
    distances = np.sqrt(2 / np.pi * variance.clip(0))
    return float(distances.sum() / len(confidence))


def reliability(
    prediction: Prediction,
    bins: int = CALIBRATION_BINS,
) -> dict[str, Floats]:
    """Bins of the predicted class's probability: mean confidence, accuracy and clips,
    (bins,) each.

    A bin without clips has zeros.
    """
    confidence = prediction.probabilities.max(axis=1)
    place = _bin(confidence, bins)
    clips = np.bincount(place, minlength=bins).astype(float)
    correct = prediction.predicted == prediction.target
    sum_of_confidence = np.bincount(place, weights=confidence, minlength=bins)
    hits = np.bincount(place, weights=correct, minlength=bins)
    divisor = np.maximum(clips, 1)
    return {
        "confidence": sum_of_confidence / divisor,
        "accuracy": hits / divisor,
        "clips": clips,
    }


def _bin(confidence: NDArray[np.floating], bins: int) -> Ints:
    place = (confidence * bins).astype(int)
    return np.minimum(place, bins - 1)
