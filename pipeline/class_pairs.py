"""Which pairs of classes a feature tells apart: a linear classifier on the statistics of its rows."""

from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def statistics(values: np.ndarray) -> np.ndarray:
    """(2 rows,) mean and standard deviation over the frames of (rows, frames)."""
    return np.concatenate([values.mean(axis=1), values.std(axis=1)])


def pairs_told_apart(clips: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> pd.DataFrame:
    """first, second, accuracy of every two classes, each clip (a row of `clips`) tested once, by fold."""
    found = []
    for first, second in combinations(sorted(set(labels)), 2):
        of_pair = np.isin(labels, (first, second))
        found.append((first, second, _accuracy(clips[of_pair], labels[of_pair], folds[of_pair])))
    return pd.DataFrame(found, columns=["first", "second", "accuracy"])


def _accuracy(clips: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> float:
    right = 0
    for fold in np.unique(folds):
        test = folds == fold
        model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(clips[~test], labels[~test])
        right += int(np.sum(model.predict(clips[test]) == labels[test]))
    return right / len(labels)
