"""The linear model is scikit-learn's pipeline, held by a small network."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featurestack.train.models.linear import fit
from tests.train.little import build


def data(classes):
    random = np.random.default_rng(0)
    y = np.arange(60) % classes
    x = random.normal(size=(60, 8)) * 5 + 100
    x[:, 0] += y
    return x.astype(np.float32), y


def fitted(x, y, classes):
    """The logits of x."""
    network = build("linear", x.shape[1], classes, (1, 1))
    fit(network, x, y, np.ones(len(y), bool))
    return network(torch.from_numpy(x)).detach()


def of_scikit_learn(x, y):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return pipeline.fit(x, y).predict_proba(x)


@pytest.mark.parametrize("classes", [2, 4])
def test_gives_the_probabilities_of_scikit_learn(classes):
    x, y = data(classes)
    x[:, 3] = 7  # a constant column does no harm
    assert np.allclose(
        fitted(x, y, classes).softmax(1), of_scikit_learn(x, y), atol=1e-4
    )


def test_with_tags_each_class_is_fitted_against_the_rest():
    x, _ = data(2)
    y = np.stack(
        [x[:, 0] > 100, x[:, 1] > 105, np.ones(60), np.zeros(60)], axis=1
    ).astype(int)
    answers = fitted(x, y, 4).sigmoid()
    for column in (0, 1):
        assert np.allclose(
            answers[:, column], of_scikit_learn(x, y[:, column])[:, 1], atol=1e-4
        )
    assert (answers[:, 2] == 1).all() and (answers[:, 3] == 0).all()


def test_means_and_deviations_are_of_originals_alone():
    x, y = data(2)
    originals = np.arange(len(y)) < 20
    network = build("linear", x.shape[1], 2, (1, 1))
    fit(network, x, y, originals)
    assert np.allclose(network.mean, x[originals].mean(axis=0))
    assert np.allclose(network.scale, x[originals].std(axis=0))


def test_a_class_without_training_clips_gets_nothing():
    x, y = data(3)
    probability = fitted(x, np.where(y == 2, 3, y), 5).softmax(1)
    assert probability.isfinite().all()
    assert probability[:, [2, 4]].max() == 0
