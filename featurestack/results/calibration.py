"""The temperature that calibrates probabilities: it divides the logits (Guo et al.
2017), which changes confidences, not predictions.

Conventions as in `compare.metrics`.
"""

import numpy as np

from featurestack.compare.metrics import SMALLEST_PROBABILITY, Ints, Probabilities

# tried temperatures; the least loss is interpolated between them
TEMPERATURES = np.geomspace(0.2, 5, 17)
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
