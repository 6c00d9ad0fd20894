"""Scores of one label a clip against numbers worked out by hand and scikit-learn's own;
the temperature that calibrates probabilities.
"""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from featurestack.comparison.metrics import (
    Evaluation,
    decide,
    decision_scores,
    indicator,
)
from featurestack.comparison.scores import ACCURACY, epoch_scores
from featurestack.results.calibration import fit_temperature, scaled


def test_scores_and_rows_of_history_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    target = rng.integers(0, 6, 300)
    # 0 is never predicted, 6 never true
    probabilities = rng.dirichlet([1, *[9] * 6], 300)
    predicted = probabilities.argmax(axis=1)
    labels = range(7)
    wanted = sklearn_metrics.precision_recall_fscore_support(
        target, predicted, labels=labels, zero_division=0
    )
    given, decided = indicator(target, 7), decide(probabilities)
    found = decision_scores(given, decided)
    assert [*found] == ["precision", "recall", "f1", "support"]
    assert np.array([*found.values()]) == pytest.approx(np.array(wanted))
    _, recall, f1, _ = (values[:6].mean() for values in wanted)
    expected = {
        "accuracy": np.mean(predicted == target),
        "macro_f1": f1,
        "balanced_accuracy": recall,
        "log_loss": sklearn_metrics.log_loss(target, probabilities, labels=labels),
    }
    evaluation = Evaluation(given, probabilities, decided, probabilities)
    scores = {n: score.function(evaluation) for n, score in ACCURACY.scores.items()}
    assert scores == pytest.approx(expected)
    columns = {"loss": "log_loss", "accuracy": "accuracy"}
    columns |= {"recall": "balanced_accuracy", "f1": "macro_f1"}
    row = epoch_scores(ACCURACY, target, probabilities)
    assert row == pytest.approx({name: expected[columns[name]] for name in columns})


def underconfident(clips, seed=0):
    """Targets drawn from probabilities whose logits are then divided by 2: the
    temperature is 0.5.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(clips, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([rng.choice(4, p=row) for row in true])
    return target, scaled(true, 2.0)


def test_a_temperature_undoes_a_division_of_the_logits():
    target, probabilities = underconfident(4000)
    assert fit_temperature(target, probabilities) == pytest.approx(0.5, rel=0.08)


def test_too_few_clips_give_no_temperature_and_perfect_ones_a_finite():
    target, probabilities = underconfident(20)
    assert fit_temperature(target, probabilities) == 1.0
    sure = np.tile([[0.9, 0.1]], (100, 1))
    assert np.isfinite(scaled(np.array([[1.0, 0.0]]), 0.2)).all()
    assert 0.1 < fit_temperature(np.zeros(100, int), sure) < 0.3
