"""The score that ranks runs."""

import numpy as np
import pytest

from featurestack.results.accuracy import ACCURACY

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


def test_the_pooled_score_of_classes_is_the_accuracy():
    labels = np.array([[True, False], [True, False], [True, False]])
    folds = np.array([1, 2, 2])
    assert ACCURACY.pooled_score(labels, PROBABILITIES, folds) == pytest.approx(2 / 3)


def test_every_clip_counts_alike_whatever_the_size_of_its_fold():
    labels = np.array([[True, False], [True, False], [True, False]])
    folds = np.array([1, 2, 2])
    score = ACCURACY.ranking_score(labels, PROBABILITIES[None], folds)
    assert score == pytest.approx(2 / 3)
