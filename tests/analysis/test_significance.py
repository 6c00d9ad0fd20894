"""Tests of significance against published examples and numbers worked out by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.significance import (
    BEST_LEVEL,
    LEVEL,
    PAIR_TESTS,
    RunPair,
    friedman,
    holm,
    nemenyi_critical_difference,
    pair_test,
    pairwise_tests,
    step_down,
)

# Demšar 2006, "Statistical comparisons of classifiers over multiple data sets", table 6: AUC of C4.5 and
# its variants with parameters m, cf, and both, on fourteen data sets.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.9749],  # printed as 0.975 twice, ranked second and third
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def pair(only_a: int = 0, only_b: int = 0, folds: list[list[float]] | None = None) -> RunPair:
    """Runs that differ on so many clips, each way, and agree on ten more."""
    correct_a = np.array([True] * only_a + [False] * only_b + [True] * 10)
    correct_b = np.array([False] * only_a + [True] * only_b + [True] * 10)
    folds_a, folds_b = np.array(folds or [[0.5, 0.6], [0.5, 0.6]])
    return RunPair(correct_a, correct_b, folds_a, folds_b, test_share=1 / 4)


def test_mcnemar_on_agrestis_approval_ratings() -> None:
    # Agresti 2013, table 11.1: 150 changed one way, 86 the other; (|150 - 86| - 1)^2 / 236 = 16.82.
    p = PAIR_TESTS["mcnemar"].p_value(pair(150, 86))
    assert p == pytest.approx(stats.chi2.sf(63**2 / 236, 1))
    assert p == pytest.approx(4.1e-5, rel=0.01)


def test_mcnemar_is_exact_for_few_clips() -> None:
    # One against nine: 2 * (1 + 10) / 2^10
    assert PAIR_TESTS["mcnemar"].p_value(pair(1, 9)) == pytest.approx(22 / 1024)


def test_mcnemar_of_equal_runs() -> None:
    assert PAIR_TESTS["mcnemar"].p_value(pair()) == 1


def test_corrected_resampled_t_by_hand() -> None:
    # Differences 2, 4, 3, 1, 5 points: mean 3, variance 2.5; t = 3 / sqrt(2.5 * (1/5 + 1/4)) = 2 sqrt 2,
    # and with 4 degrees of freedom P(|T| > t) = 1 - t / sqrt(4 + t^2) * (1 + 2 / (4 + t^2)).
    folds = [[0.82, 0.84, 0.83, 0.81, 0.85], [0.8] * 5]
    p = PAIR_TESTS["corrected_resampled_t"].p_value(pair(folds=folds))
    assert p == pytest.approx(1 - np.sqrt(8 / 12) * (1 + 2 / 12))


@pytest.mark.parametrize(
    ("folds", "p"),
    [([[0.7, 0.8], [0.7, 0.8]], 1), ([[0.75, 0.875], [0.5, 0.625]], 0), ([[0.7], [0.6]], np.nan)],
)
def test_corrected_resampled_t_without_variance_or_folds(folds: list[list[float]], p: float) -> None:
    found = PAIR_TESTS["corrected_resampled_t"].p_value(pair(folds=folds))
    assert found == pytest.approx(p, nan_ok=True)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never below the one before.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_agrees_with_statsmodels() -> None:
    p_values = np.random.default_rng(9).random(40) ** 3
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_leaves_out_what_is_unknown() -> None:
    assert holm(np.array([0.01, np.nan, 0.04])) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_friedman_on_demsars_data() -> None:
    found = friedman(DEMSAR)
    assert found is not None
    assert found.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    # The paper's 9.28 takes no account of ties; scipy's, which does, is a little higher.
    untied = 12 * 14 / (4 * 5) * ((found.ranks**2).sum() - 4 * 5**2 / 4)
    assert untied == pytest.approx(9.28, abs=0.01)
    assert found.statistic == pytest.approx(untied / (1 - (60 + 6 + 6 + 6) / (14 * 60)), rel=1e-6)
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 3))


def test_nemenyi_agrees_with_the_critical_difference() -> None:
    found = friedman(DEMSAR)
    assert found is not None
    apart = np.abs(found.ranks[:, None] - found.ranks[None, :]) > found.critical_difference
    assert ((found.nemenyi < 0.05) == apart).all()


def test_critical_difference_of_two_is_the_normal_one() -> None:
    assert nemenyi_critical_difference(2, 10) == pytest.approx(1.96 * np.sqrt(2 * 3 / 60), abs=1e-3)


def test_friedman_needs_three_runs_and_two_folds() -> None:
    assert friedman(np.ones((5, 2))) is None
    assert friedman(np.ones((1, 5))) is None


def test_friedman_of_equal_runs() -> None:
    found = friedman(np.full((5, 3), 0.5))
    assert found is not None
    assert (found.statistic, found.p) == (0, 1)
    assert found.ranks.tolist() == [2, 2, 2]


def test_every_test_says_when_it_applies_and_stands_once() -> None:
    assert all(len(test.applies) > 40 for test in PAIR_TESTS.values())
    with pytest.raises(ValueError, match="'mcnemar' is registered twice"):
        pair_test("Again", "whenever")(PAIR_TESTS["mcnemar"].p_value)


def by_recording(*differences: tuple[int, int], recordings: int = 60) -> np.ndarray:
    """Differences (G, M): so many recordings for the one, so many for the other, the rest equal."""
    columns = [[1] * plus + [-1] * minus + [0] * (recordings - plus - minus) for plus, minus in differences]
    return np.array(columns, dtype=float).T


@pytest.mark.parametrize(("plus", "minus"), [(4, 0), (7, 0), (9, 1), (20, 8)])
def test_of_one_clip_a_recording_the_sign_flip_test_is_mcnemars_exact_test(plus: int, minus: int) -> None:
    exact = stats.binomtest(minus, plus + minus).pvalue
    assert step_down(by_recording((plus, minus)))[0] == pytest.approx(exact)
    sums = np.column_stack([by_recording((plus, minus)), np.zeros(60)])
    tests = pairwise_tests(sums)
    assert tests.p[0, 1] == pytest.approx(exact)
    assert tests.p_best.tolist() == pytest.approx([1, exact])


def test_equal_runs_have_p_value_one() -> None:
    assert step_down(np.zeros((9, 2))).tolist() == [1, 1]
    assert pairwise_tests(np.ones((9, 3))).p_best.tolist() == [1, 1, 1]


def test_a_family_raises_p_values_and_keeps_their_order() -> None:
    rng = np.random.default_rng(1)
    alone = by_recording((14, 3))
    many = np.column_stack([alone, by_recording((30, 2)), rng.choice([-1.0, 0, 1], size=(60, 20))])
    p = step_down(many)
    assert p[0] > 2 * step_down(alone)[0]
    assert p[1] < p[0] <= 1


def test_a_copy_of_a_difference_costs_nothing() -> None:
    alone = step_down(by_recording((14, 3)))
    assert step_down(by_recording((14, 3), (14, 3))) == pytest.approx([*alone, *alone])


def test_p_values_of_pairs_beyond_the_draws_are_the_normal_tail() -> None:
    lead = by_recording((50, 0), recordings=100) * np.linspace(1, 1.1, 100)[:, None]  # too many patterns
    p = pairwise_tests(np.column_stack([lead, np.zeros(100)])).p[0, 1]
    observed = lead.sum() / np.sqrt((lead**2).sum())
    assert p == pytest.approx(2 * stats.norm.sf(observed))


def test_enumerated_sign_patterns_are_all_of_them() -> None:
    differences = np.array([0.5, 0.5, -0.5, 1 / 3, 0.25, 0, -0.125, 0.5])
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=8)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    assert step_down(differences[:, None])[0] == pytest.approx(exact)
    assert pairwise_tests(np.column_stack([differences, np.zeros(8)])).p[0, 1] == pytest.approx(exact)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_p_value_of_a_comparison_depends_on_its_own_data_alone(spread: float) -> None:
    """The same in every table and beside whatever other runs, enumerated or, of unequal clips, drawn."""
    rng = np.random.default_rng(7)
    weights = 1 + spread * rng.random((200, 1))
    sums = weights * (rng.random((200, 6)) < (0.9, 0.8, 0.7, 0.7, 0.7, 0.6))
    own = pairwise_tests(sums[:, :2]).p[0, 1]
    assert 0.0001 < own < 0.2
    assert pairwise_tests(sums).p[0, 1] == own
    assert step_down(sums[:, :1] - sums[:, 1:2])[0] == pytest.approx(own)
    assert pairwise_tests(sums[:, :2]).p_best[1] == own
    assert (pairwise_tests(sums).p_best >= pairwise_tests(sums).p[0]).all()


def test_runs_that_are_far_worse_do_not_make_the_second_tied() -> None:
    """The range of many equal runs is wide; once the worse ones have left, two are compared as two."""
    rng = np.random.default_rng(3)
    best, second = np.ones(200), 1 - by_recording((13, 1), recordings=200)[:, 0]
    worse = (rng.random((200, 20)) < 0.3).astype(float)
    tests = pairwise_tests(np.column_stack([best, second, worse]))
    assert tests.p_best[2:].max() < 0.001
    assert tests.p_best[1] == pytest.approx(stats.binomtest(1, 14).pvalue, abs=0.005)
    assert tests.critical[1] < tests.critical[2:].max()


def test_of_equal_runs_the_best_leads_significantly_no_more_often_than_stated() -> None:
    """Ten equal runs on 150 independent recordings: the best is selected by the scores that are tested."""
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(300):
        sums = (rng.random((150, 10)) < 0.7).astype(float)
        sums = sums[:, np.argsort(-sums.sum(axis=0))]
        found += pairwise_tests(sums, draws=300).p_best.min() < LEVEL
    assert stats.binomtest(found, 300, LEVEL, alternative="greater").pvalue > 0.01
    assert BEST_LEVEL < LEVEL
