"""Logistic regression; its minimum is tested in tests/train/models/test_linear.py."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from featurestack.linear.logistic import fit, means_and_deviations, strengths


@pytest.mark.parametrize("clips", [2, 60, 333])
def test_means_and_deviations_are_scikit_learns_to_the_bit(clips):
    random = np.random.default_rng(0)
    x = random.normal(size=(clips, 40)) * 10 ** random.uniform(-3, 3, 40) + 50
    x[:, 0] = 7.3
    scaler = StandardScaler().fit(x)
    mean, scale = means_and_deviations(x)
    assert np.array_equal(mean, scaler.mean_) and np.array_equal(scale, scaler.scale_)


# separable classes, and mixed ones
@pytest.mark.parametrize(("apart", "strength"), [(3.0, 1e9), (0.3, 1e7)])
def test_a_very_weak_penalty_reaches_the_minimum(apart, strength, capsys):
    random = np.random.default_rng(0)
    y = np.arange(300) % 5
    x = random.normal(size=(300, 40))
    x[:, :5] += apart * np.eye(5)[y]
    model = fit(x, y, 5, strength)
    standard = StandardScaler().fit_transform(x)
    exact = LogisticRegression(
        C=strength, max_iter=10_000, tol=1e-10, solver="newton-cg"
    )
    expected = exact.fit(standard, y).predict_proba(standard)
    np.testing.assert_allclose(softmax(model.logits(x), axis=1), expected, atol=1e-6)
    assert "not at its minimum" not in capsys.readouterr().err


@pytest.mark.parametrize("repeated", [0, 20])
def test_more_numbers_than_clips_reach_the_minimum_also_with_equal_clips(repeated):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 300))
    x[60 - repeated :] = x[0]
    y = np.arange(60) % 3
    standard = StandardScaler().fit_transform(x)
    expected = LogisticRegression(C=0.1, max_iter=10_000, tol=1e-10).fit(standard, y)
    probabilities = softmax(fit(x, y, 3, 0.1).logits(x), axis=1)
    np.testing.assert_allclose(
        probabilities, expected.predict_proba(standard), atol=1e-5
    )


def test_a_wide_feature_does_not_drown_another():
    assert (strengths([128, 2050], 0.1) == 0.1).all()
    assert strengths([8192], 0.1) == pytest.approx(0.1)
    both = strengths([1024, 8192], 0.1)
    assert both.mean() == pytest.approx(0.1)
    assert both[-1] / both[0] == pytest.approx(2050 / 8192)
    random = np.random.default_rng(0)
    y = np.arange(120) % 4
    telling = random.normal(size=(120, 20)) + 1.5 * np.eye(20)[y]
    x = np.hstack([telling, random.normal(size=(120, 20_000))])
    train, test = slice(80), slice(80, None)

    def right(strength):
        logits = fit(x[train], y[train], 4, strength).logits(x[test])
        return (logits.argmax(axis=1) == y[test]).mean()

    assert right(strengths([20, 20_000])) > right(0.1) + 0.1


def test_a_constant_number_of_balanced_classes_is_fitted_in_silence(capsys):
    fit(np.full((80, 1), 8000.0), np.repeat(np.arange(4), 20), 4)
    assert capsys.readouterr().err == ""
