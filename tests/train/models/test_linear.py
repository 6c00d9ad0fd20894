"""The linear model is scikit-learn's pipeline, held by a small network."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.train.little import build
from train.models.linear import fit


def data(classes):
    random = np.random.default_rng(0)
    y = np.arange(60) % classes
    x = random.normal(size=(60, 8)) * 5 + 100
    x[:, 0] += y
    return x.astype(np.float32), y


def fitted(x, y, classes):
    network = build("linear", x.shape[1], classes, (1, 1))
    fit(network, x, y, np.ones(len(y), bool))
    with torch.inference_mode():
        return network(torch.from_numpy(x)).softmax(1).numpy()


@pytest.mark.parametrize("classes", [2, 4])
def test_gives_the_probabilities_of_scikit_learn(classes):
    x, y = data(classes)
    x[:, 3] = 7  # a constant column does no harm
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(x, y)
    assert np.allclose(fitted(x, y, classes), theirs.predict_proba(x), atol=1e-4)


def test_means_and_deviations_are_of_originals_alone():
    x, y = data(2)
    originals = np.arange(len(y)) < 20
    network = build("linear", x.shape[1], 2, (1, 1))
    fit(network, x, y, originals)
    assert np.allclose(network.mean, x[originals].mean(axis=0))
    assert np.allclose(network.scale, x[originals].std(axis=0))


def test_a_class_without_training_clips_gets_nothing():
    x, y = data(3)
    probability = fitted(x, np.where(y == 2, 3, y), 5)
    assert np.isfinite(probability).all()
    assert probability[:, [2, 4]].max() == 0
