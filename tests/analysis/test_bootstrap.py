"""Resampling recordings: against the standard error's formula, and what must not change it."""

import numpy as np
import pytest

from analysis.bootstrap import fold_weights, group_sums, interval, p_value, resampled_means


def resampled(values: np.ndarray, groups: np.ndarray, **more: object) -> np.ndarray:
    weights = more.pop("weights", np.ones(len(values)))
    rng = np.random.default_rng(0)
    return resampled_means(values.astype(float), groups, weights=weights, rng=rng, **more)


def test_deviation_is_the_standard_error_over_recordings() -> None:
    rng = np.random.default_rng(3)
    of_group = rng.normal(size=150)
    groups = np.repeat(np.arange(150), 3)
    means = resampled(of_group[groups][:, None], groups)
    assert means.mean() == pytest.approx(of_group.mean(), abs=0.005)
    assert means.std() == pytest.approx(of_group.std() / np.sqrt(150), rel=0.03)


def test_copies_of_a_clip_add_no_certainty() -> None:
    rng = np.random.default_rng(4)
    values = (rng.random(60) < 0.7).astype(float)[:, None]
    once = interval(resampled(values, np.arange(60)))
    copied = interval(resampled(np.repeat(values, 5, axis=0), np.repeat(np.arange(60), 5)))
    assert copied == pytest.approx(once)


def test_one_draw_serves_all_columns() -> None:
    rng = np.random.default_rng(5)
    values = rng.random((80, 2))
    means = resampled(np.column_stack([values, values[:, 0] - values[:, 1]]), np.arange(80), replicates=500)
    assert means[:, 2] == pytest.approx(means[:, 0] - means[:, 1])


def test_a_column_with_no_clip_drawn_is_nan_there_and_left_out_of_the_interval() -> None:
    values = np.ones((10, 1))
    weights = np.zeros((10, 1))
    weights[0] = 1  # one recording of ten: some 35 % of the draws miss it
    means = resampled(values, np.arange(10), weights=weights, replicates=2000)
    assert 0.3 < np.isnan(means).mean() < 0.4
    assert interval(means).tolist() == [[1, 1]]


def test_weights_give_the_mean_over_folds() -> None:
    folds = np.array([1, 1, 1, 2])
    assert fold_weights(folds).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_group_sums() -> None:
    sums = group_sums(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([1, 0, 1]), 2)
    assert sums.tolist() == [[3, 4], [6, 8]]


def test_p_value_is_twice_the_far_share() -> None:
    replicates = np.concatenate([np.full(30, -1.0), np.full(970, 1.0)])[:, None]
    assert p_value(replicates, 100)[0] == pytest.approx(2 * 31 / 1001)
    assert p_value(-replicates, 100)[0] == pytest.approx(2 * 31 / 1001)


def test_equal_runs_have_p_value_one() -> None:
    assert p_value(np.zeros((1000, 1)), 100).tolist() == [1]


def test_p_value_beyond_the_replicates_is_the_normal_tail() -> None:
    replicates = np.random.default_rng(6).normal(6, 1, size=(10_000, 1))
    assert p_value(replicates, 1000)[0] == pytest.approx(2e-9, rel=0.5)  # 2 * P(Z > 6)


def test_few_recordings_cannot_be_certain() -> None:
    assert p_value(np.ones((1000, 1)), 4).tolist() == [2 / 2**4]
    assert p_value(np.ones((1000, 1)), 1).tolist() == [1]


def test_the_interval_covers_the_true_value_as_often_as_it_states() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        values = (rng.random((200, 1)) < 0.8).astype(float)
        low, high = interval(
            resampled_means(values, np.arange(200), weights=np.ones(200), rng=rng, replicates=400)
        )[0]
        covered += low <= 0.8 <= high
    assert 178 <= covered <= 198  # 95 % of 200 is 190
