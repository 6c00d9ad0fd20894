"""Scores against numbers worked out by hand, and against scikit-learn's own."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from featurestack.scores.metrics import METRICS, Prediction, decision_scores
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
