"""Scores of one label a clip against numbers worked out by hand and scikit-learn's own;
the temperature that calibrates probabilities.
"""

import inspect

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from featurestack.comparison import average_precision, metrics
from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION
from featurestack.comparison.metrics import (
    Evaluation,
    decide,
    decision_scores,
    indicator,
)
from featurestack.comparison.scores import ACCURACY, epoch_scores
from featurestack.results.calibration import fit_temperature, scaled

ASKED = ["evaluation"]  # the parameters of a score


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
    assert scores.keys() == expected.keys() and scores == pytest.approx(expected)
    columns = {"loss": "log_loss", "accuracy": "accuracy"}
    columns |= {"recall": "balanced_accuracy", "f1": "macro_f1"}
    row = epoch_scores(ACCURACY, target, probabilities)
    assert row == pytest.approx({name: expected[columns[name]] for name in columns})


def test_every_function_of_an_evaluation_is_a_score_and_says_whether_less_is_better():
    used = {*ACCURACY.history.values(), *MEAN_AVERAGE_PRECISION.history.values()}
    labels = np.eye(4, dtype=bool)[np.arange(20) % 4]
    right = np.where(labels, 0.7, 0.1)
    given = [(p, p > 0.5, p) for p in (right, np.roll(right, 1, axis=1))]
    for metric in (ACCURACY, MEAN_AVERAGE_PRECISION):
        for name, score in metric.scores.items():
            best, worst = (score.function(Evaluation(labels, *each)) for each in given)
            assert (best < worst) == score.less, f"less= of {name}"
            used.add(score.function)
    for name, own in [*vars(metrics).items(), *vars(average_precision).items()]:
        if inspect.isfunction(own) and [*inspect.signature(own).parameters] == ASKED:
            assert own in used, f"{name} is in no scores= of a metric"


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
