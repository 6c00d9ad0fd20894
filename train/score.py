"""From probabilities to the five numbers of a part: loss, accuracy, and macro precision, recall, F1."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from train.runs import METRICS

SMALLEST = 1e-12  # of a probability, so that one sure mistake costs 27.6 and not infinity


def score(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> dict[str, float]:
    """METRICS of probabilities (N, K) for class numbers (N,); classes that do not occur count nowhere."""
    guessed = probabilities.argmax(axis=1)
    own = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, guessed, labels=np.unique(targets), average="macro", zero_division=0
    )
    loss = -np.log(np.maximum(own, SMALLEST)).mean()
    values = (loss, (guessed == targets).mean(), precision, recall, f1)
    return {name: float(value) for name, value in zip(METRICS, values)}


def confused(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], classes: list[str], pairs: int = 3
) -> list[tuple[str, str, int]]:
    """The pairs of classes taken for each other most often, either way: (class, class, clips)."""
    counts = confusion_matrix(targets, probabilities.argmax(axis=1), labels=np.arange(len(classes)))
    both = np.triu(counts + counts.T, k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:pairs]
    found = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, both.shape))]
    return [(classes[i], classes[j], int(both[i, j])) for i, j in found if both[i, j]]
