"""The score that ranks runs."""

import numpy as np
import pytest

from featurestack.results.accuracy import ACCURACY

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
LABELS = np.array([[True, False], [True, False], [True, False]])
FOLDS = np.array([1, 2, 2])


def test_every_clip_counts_alike_whatever_the_size_of_its_fold():
    pooled = ACCURACY.pooled_score(LABELS, PROBABILITIES, FOLDS)
    ranking = ACCURACY.ranking_score(LABELS, PROBABILITIES[None], FOLDS)
    assert [pooled, ranking] == pytest.approx([2 / 3, 2 / 3])
