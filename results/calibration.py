"""Temperature, fitted to clips that the model was not trained on: arrays in, arrays
out. No torch.

The temperature divides the logits of one label a clip (Guo et al. 2017); it changes
confidences, not predictions.

Conventions: N clips, K classes; class numbers (N,); `probabilities` (N, K).
"""

import numpy as np
from numpy.typing import NDArray

from featurestack.results.scores import SMALLEST_PROBABILITY, Floats, Ints

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
FEWEST_CLIPS = 30  # with fewer clips the temperature is 1


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


# ---- rejection
