"""The linear model is scikit-learn's pipeline, held by a small network; texture
statistics by known answers.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featurestack import ridge
from featurestack.base.terminal import tell_once
from featurestack.train.models import vectors
from featurestack.train.models.vectors import (
    MODULATION_BANDS,
    RANGES,
    TextureNet,
    TextureStatistics,
    TrainingClips,
    strengths_of,
)
from featurestack.train.network_input import ChannelSize
from tests.train.small_cache import build


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


# ---- texture statistics

ROWS, FRAMES = 64, 108
SPECTRUM = ChannelSize(ROWS, FRAMES, timed=True)
CEPSTRUM = ChannelSize(40, FRAMES, timed=True)
SINGLE = ChannelSize(1, FRAMES, timed=True)
RATES = ChannelSize(4, 5, timed=False)


def maps(channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, ROWS, FRAMES, generator=generator)


@pytest.mark.parametrize("plane", [SPECTRUM, CEPSTRUM])
def test_mean_deviation_and_maximum_are_those_of_each_row_before_the_grid(plane):
    x = maps(1)
    statistics = TextureStatistics((plane,), FRAMES)(x)
    rows = torch.nn.functional.adaptive_avg_pool2d(x[:, 0], (plane.rows, FRAMES))
    expected = torch.cat([rows.mean(2), rows.std(2), rows.amax(2)], dim=1)
    torch.testing.assert_close(statistics[:, : 3 * plane.rows], expected)
    if plane is CEPSTRUM:  # too few rows for patterns along frequency
        assert statistics.shape == (2, 3 * plane.rows + MODULATION_BANDS * RANGES)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_statistics_of_a_channel_are_those_that_change_with_it(channel):
    texture = TextureStatistics((SPECTRUM, RATES, SINGLE), FRAMES)
    x = maps(3)[:1]
    changed = x.clone()
    changed[:, channel] *= 2
    differs = texture(x)[0] != texture(changed)[0]
    owners = torch.arange(3).repeat_interleave(torch.tensor(texture.sizes))
    assert (owners == channel).tolist() == differs.tolist()


@pytest.mark.parametrize("shift", [1, 40])
def test_a_circular_shift_in_time_changes_no_statistic(shift):
    texture = TextureStatistics((SPECTRUM, CEPSTRUM), FRAMES)
    x = maps(2)
    torch.testing.assert_close(
        texture(x.roll(shift, dims=3)), texture(x), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("periods", [1, 7, 40])
def test_a_modulated_band_shows_in_the_range_of_its_frequency(periods):
    frames = 216
    x = torch.zeros(1, 1, MODULATION_BANDS, frames)
    x[0, 0, 5] = torch.sin(2 * math.pi * periods * torch.arange(frames) / frames)
    texture = TextureStatistics(
        (ChannelSize(MODULATION_BANDS, frames, timed=True),), frames
    )
    modulation = texture(x)[0, 3 * MODULATION_BANDS :].view(MODULATION_BANDS, RANGES)
    found = int(modulation[5].argmax())
    low, high = texture.edges[found : found + 2]
    assert low < periods <= high  # bin 0 is one period a clip
    # a constant band has no modulation
    assert (modulation[4] == modulation[4][0]).all()


def test_statistics_are_computed_in_full_precision_under_autocast():
    network = TextureNet((SPECTRUM,), 3, FRAMES, 16, members=2).eval()
    x = maps(1)
    expected = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x), expected)
