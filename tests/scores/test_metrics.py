"""Scores against numbers worked out by hand, and against scikit-learn's own."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from featurestack.scores import calibration
from featurestack.scores.metrics import METRICS, Prediction, decision_scores
from featurestack.scores.ranking_metric import ACCURACY
from featurestack.scores.tasks.base import epoch_scores
from featurestack.scores.tasks.classes import CLASSES


def all_metrics(target, probabilities):
    labels = CLASSES.indicator(target, probabilities.shape[1])
    decided = CLASSES.decisions(probabilities, labels)
    prediction = Prediction(labels, probabilities, decided, probabilities)
    return {name: score(prediction) for name, score in METRICS["classes"].items()}


def test_classes_registry_and_rows_of_history_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    target = rng.integers(0, 6, 300)
    # 0 is never predicted, 6 never true
    probabilities = rng.dirichlet([1, *[9] * 6], 300)
    predicted = probabilities.argmax(axis=1)
    labels = range(7)
    wanted = sklearn_metrics.precision_recall_fscore_support(
        target, predicted, labels=labels, zero_division=0
    )
    classes = np.arange(7)
    found = decision_scores(target[:, None] == classes, predicted[:, None] == classes)
    for name, values in zip(
        ("precision", "recall", "f1", "support"), wanted, strict=True
    ):
        assert found[name] == pytest.approx(values), name
    precision, recall, f1, _ = (values[:6].mean() for values in wanted)
    expected = {
        "accuracy": np.mean(predicted == target),
        "macro_precision": precision,
        "macro_f1": f1,
        "balanced_accuracy": recall,
        "log_loss": sklearn_metrics.log_loss(target, probabilities, labels=labels),
    }
    assert expected.keys() == METRICS["classes"].keys()
    assert all_metrics(target, probabilities) == pytest.approx(expected)
    columns = {"loss": "log_loss", "accuracy": "accuracy"}
    columns |= {"precision": "macro_precision", "recall": "balanced_accuracy"}
    columns |= {"f1": "macro_f1"}
    row = epoch_scores(CLASSES, target, probabilities)
    assert row == pytest.approx(
        {name: expected[metric] for name, metric in columns.items()}
    )


def test_calibration_error_by_hand():
    # Two clips predicted with 0.9 of which one is right, two with 0.6 of which both
    # are: gaps 0.4 and 0.4.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    target = np.array([0, 1, 0, 0])
    error = calibration.calibration_error(target, probabilities)
    assert error == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    bins = calibration.reliability(target, probabilities, bins=10)
    assert bins["clips"].tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert bins["accuracy"][[6, 9]].tolist() == [1.0, 0.5]
    assert bins["confidence"][[6, 9]] == pytest.approx([0.6, 0.9])


def test_every_clip_counts_alike_whatever_the_size_of_its_fold():
    labels, folds = np.eye(2, dtype=bool)[[0, 0, 0]], np.array([1, 2, 2])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert ACCURACY.score(labels, probabilities, folds) == pytest.approx(2 / 3)


def test_the_calibration_floor_is_the_error_of_a_calibrated_model():
    """On 80 clips the error of such a model is noise, about a tenth."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 80)
    probabilities = np.column_stack([sure, 1 - sure])
    errors = [
        calibration.calibration_error(
            (rng.random(80) > sure).astype(int), probabilities
        )
        for _ in range(300)
    ]
    assert calibration.calibration_floor(probabilities) == pytest.approx(
        np.mean(errors), rel=0.15
    )
