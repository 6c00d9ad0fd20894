"""The linear model is scikit-learn's pipeline, held by a small network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featurestack.commandline.terminal import tell_once
from featurestack.linear import ridge
from featurestack.train.models import vectors
from featurestack.train.models.vectors import TrainingClips, strengths_of
from tests.train.little import build


def data(classes):
    random = np.random.default_rng(0)
    y = np.arange(60) % classes
    x = random.normal(size=(60, 8)) * 5 + 100
    x[:, 0] += y
    return x.astype(np.float32), y


def training_clips(x, y, weights=None):
    originals = np.ones(len(y), bool)
    numbers = x.shape[1:]
    return TrainingClips(x, y, np.arange(len(y)), originals, numbers, numbers, weights)


def fitted(x, y, classes, weights=None):
    """The logits of x."""
    network = build("linear", x.shape[1], classes, (1, 1))
    network.fit(training_clips(x, y, weights))
    return network(torch.from_numpy(x)).detach()


def of_scikit_learn(x, y, class_weight=None):
    # its default tolerance ends up to 2 points of probability from the minimum
    regression = LogisticRegression(
        C=0.1, max_iter=10000, tol=1e-8, class_weight=class_weight
    )
    pipeline = make_pipeline(StandardScaler(), regression)
    exact = x.astype(np.float64)
    return pipeline.fit(exact, y).predict_proba(exact)


@pytest.mark.parametrize("balance", [None, "balanced"])
@pytest.mark.parametrize("classes", [2, 4])
def test_gives_the_probabilities_of_scikit_learn(classes, balance):
    x, y = data(classes)
    x[:, 3] = 7  # a constant column does no harm
    kept = (y > 0) | (np.arange(60) < 15)
    x, y = x[kept], y[kept]
    weights = len(y) / classes / np.bincount(y) if balance else None
    ours = fitted(x, y, classes, weights).softmax(1)
    assert np.allclose(ours, of_scikit_learn(x, y, balance), atol=1e-4)


@pytest.mark.parametrize("repeated", [0, 20])
def test_more_numbers_than_clips_reach_the_minimum_also_with_equal_clips(repeated):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 300)).astype(np.float32)
    x[60 - repeated :] = x[0]
    y = np.arange(60) % 3
    assert np.allclose(fitted(x, y, 3).softmax(1), of_scikit_learn(x, y), atol=1e-4)


def test_a_wide_feature_does_not_drown_another():
    assert (strengths_of([128, 2050], 0.1) == 0.1).all()
    assert strengths_of([8192], 0.1) == pytest.approx(0.1)
    both = strengths_of([1024, 8192], 0.1)
    assert both.mean() == pytest.approx(0.1)
    assert both[-1] / both[0] == pytest.approx(2050 / 8192)
    random = np.random.default_rng(0)
    y = np.arange(120) % 4
    telling = random.normal(size=(120, 20)) + 1.5 * np.eye(20)[y]
    x = np.hstack([telling, random.normal(size=(120, 20_000))]).astype(np.float32)

    def right(widths):
        network = build("linear", x.shape[1], 4, (1, 1))
        network.fit(replace(training_clips(x[:80], y[:80]), widths=widths))
        answers = network(torch.from_numpy(x[80:])).detach().numpy().argmax(axis=1)
        return (answers == y[80:]).mean()

    assert right([20, 20_000]) > right([20_020]) + 0.1


@pytest.mark.parametrize("weights", [None, np.array([3.0, 1.5, 1.0, 1.0])])
def test_with_tags_each_class_is_fitted_against_the_rest(weights):
    x, _ = data(2)
    labels = [x[:, 0] > 100, x[:, 1] > 105, np.ones(60), np.zeros(60)]
    y = np.stack(labels, axis=1).astype(int)
    answers = fitted(x, y, 4, weights).sigmoid()
    for column in (0, 1):
        positive = 1.0 if weights is None else weights[column]
        expected = of_scikit_learn(x, y[:, column], {1: positive, 0: 1.0})[:, 1]
        assert np.allclose(answers[:, column], expected, atol=1e-4)
    assert (answers[:, 2] == 1).all() and (answers[:, 3] == 0).all()


def test_means_and_deviations_are_of_originals_alone():
    x, y = data(2)
    originals = np.arange(len(y)) < 20
    network = build("linear", x.shape[1], 2, (1, 1))
    network.fit(replace(training_clips(x, y), originals=originals))
    assert np.allclose(network.mean, x[originals].mean(axis=0))
    assert np.allclose(network.scale, x[originals].std(axis=0))


def test_a_class_without_training_clips_gets_nothing():
    x, y = data(3)
    probability = fitted(x, np.where(y == 2, 3, y), 5).softmax(1)
    assert probability.isfinite().all()
    assert probability[:, [2, 4]].max() == 0


@pytest.mark.parametrize(("steps", "told"), [(2, 1), (200, 0)])
def test_an_end_before_the_minimum_is_told_once(monkeypatch, capsys, steps, told):
    tell_once.cache_clear()
    monkeypatch.setattr(vectors, "MOST_STEPS", steps)
    for _ in range(2):
        fitted(*data(4), 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == told
    assert all("was not at its minimum after 2 steps" in line for line in lines)


def test_ridge_answers_the_same_from_its_stored_weights():
    x, y = data(4)
    network = build("ridge", x.shape[1], 4, (1, 1))
    network.fit(training_clips(x, y))
    assert len(network.support) == len(y)
    stored = build("ridge", x.shape[1], 4, (1, 1))
    stored.load_state_dict(network.state_dict())
    answers = network(torch.from_numpy(x)).detach()
    assert torch.equal(stored(torch.from_numpy(x)).detach(), answers)
    model = ridge.fit(x, y, 4, [8], np.arange(len(y)))
    assert np.allclose(model.logits(x), answers, atol=1e-3)
