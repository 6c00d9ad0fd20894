"""Resampling recordings: against the standard error's formula, and what must not change it."""

import numpy as np
import pytest

from results.bootstrap import fold_weights, interval, recording_sums, resampled_means


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
    once = interval(resampled(values, np.arange(60)), 60)
    copied = interval(resampled(np.repeat(values, 5, axis=0), np.repeat(np.arange(60), 5)), 60)
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
    low, high = interval(means, 10)[0]
    assert (low, high) == pytest.approx((0.025 ** (1 / 10), 1))


def test_weights_give_the_mean_over_folds() -> None:
    folds = np.array([1, 1, 1, 2])
    assert fold_weights(folds).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_recording_sums() -> None:
    sums = recording_sums(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array(["b", "a", "b"]))
    assert sums.tolist() == [[3, 4], [6, 8]]


def test_an_interval_is_no_narrower_than_the_rule_of_three() -> None:
    reach = 1 - 0.025 ** (1 / 100)  # 3.6 %
    assert interval(np.full((50, 1), 0.99), 100, lowest=0)[0].tolist() == pytest.approx([0.99 - reach, 1])
    assert interval(np.zeros((50, 1)), 100, lowest=0)[0].tolist() == pytest.approx([0, reach])
    assert interval(np.zeros((50, 1)), 100)[0].tolist() == pytest.approx([-reach, reach])


def test_fewer_than_five_recordings_have_no_interval() -> None:
    replicates = np.random.default_rng(0).random((100, 2))
    assert np.isnan(interval(replicates, np.array([4, 5]))).tolist() == [[True, True], [False, False]]


def test_the_interval_covers_the_true_value_as_often_as_it_states() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        values = (rng.random((200, 1)) < 0.8).astype(float)
        low, high = interval(
            resampled_means(values, np.arange(200), weights=np.ones(200), rng=rng, replicates=400), 200
        )[0]
        covered += low <= 0.8 <= high
    assert 178 <= covered <= 198  # 95 % of 200 is 190
