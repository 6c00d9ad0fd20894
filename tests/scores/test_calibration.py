"""Temperature and thresholds: known answers, and nothing from the tested
fold.
"""

import numpy as np
import pytest

from featurestack.scores import calibration
from featurestack.scores.metrics import decision_scores
from featurestack.scores.tasks import tags
from tests.scores.test_tags import drawn


def underconfident(clips, seed=0):
    """Targets drawn from probabilities whose logits are then divided by 2: the
    temperature is 0.5.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(clips, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([rng.choice(4, p=row) for row in true])
    return target, calibration.scaled(true, 2.0)


def test_a_temperature_undoes_a_division_of_the_logits():
    target, probabilities = underconfident(4000)
    assert calibration.fit_temperature(target, probabilities) == pytest.approx(
        0.5, rel=0.08
    )


def test_scaling_divides_logits():
    given = np.array([[0.8, 0.2], [1.0, 0.0]])
    np.testing.assert_allclose(
        calibration.scaled(given, 0.5)[0], [0.64 / 0.68, 0.04 / 0.68]
    )
    assert np.isfinite(calibration.scaled(given, 0.2)).all()


def test_too_few_clips_give_no_temperature_and_perfect_ones_a_finite():
    target, probabilities = underconfident(20)
    assert calibration.fit_temperature(target, probabilities) == 1.0
    sure = np.tile([[0.9, 0.1]], (100, 1))
    assert 0.1 < calibration.fit_temperature(np.zeros(100, int), sure) < 0.3


def test_thresholds_have_the_highest_f1_and_come_from_the_other_folds():
    target, scores = drawn(5, equals=True)
    fitted = tags.fit_thresholds(target, scores)
    found = decision_scores(target, scores > fitted)["f1"]
    tried = [
        decision_scores(target, scores > value)["f1"]
        for value in np.linspace(-0.05, 1.45, 61)
    ]
    assert found == pytest.approx(np.max(tried, axis=0))
    folds = np.arange(len(target)) % 4
    crossed = tags.cross_fitted_thresholds(target, scores, folds)
    others = folds != 1
    assert (
        crossed[folds == 1] == tags.fit_thresholds(target[others], scores[others])
    ).all()
