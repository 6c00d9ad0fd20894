"""The sign-flip test against enumeration, published tests and numbers worked out by
hand.
"""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from featurestack.analysis import significance
from featurestack.analysis.significance import (
    FAMILY_LEVEL,
    LEVEL,
    detectable,
    exact_p,
    sign_flip_tests,
)
from featurestack.scores.bootstrap import FEWEST_RECORDINGS


def by_recording(*differences, recordings=60):
    """Differences (G, M): a pair is the numbers of recordings with +1 and with -1; the
    rest have 0.
    """
    columns = [
        [1] * plus + [-1] * minus + [0] * (recordings - plus - minus)
        for plus, minus in differences
    ]
    return np.array(columns).T


def family(differences, **given):
    shares = np.full(len(differences), 1 / len(differences))
    return sign_flip_tests(
        differences, shares, **({"level": FAMILY_LEVEL, "draws": 2000} | given)
    )


@pytest.mark.parametrize(("plus", "minus"), [(4, 0), (7, 0), (9, 1), (20, 8)])
def test_with_one_clip_a_recording_the_test_is_mcnemars_exact_test(plus, minus):
    exact = stats.binomtest(minus, plus + minus).pvalue
    for selected in (False, True):
        found = family(by_recording((plus, minus)), selected=selected)
        assert found.p == pytest.approx([exact])


def test_exact_p_values_count_ties():
    """p is the share of all patterns of signs whose sum is at least as far from zero as
    the observed one.
    """
    rng = np.random.default_rng(0)
    for _ in range(50):
        differences = rng.integers(-3, 4, size=rng.integers(1, 10))
        sums = [
            abs(np.dot(signs, differences))
            for signs in product((1, -1), repeat=len(differences))
        ]
        assert exact_p(differences) == pytest.approx(
            np.mean(np.array(sums) >= abs(differences.sum()))
        )


def test_equal_runs_have_p_value_one():
    assert family(np.zeros((60, 2), dtype=int)).p.tolist() == [1, 1]
    assert family(np.zeros((9, 0), dtype=int)).p.tolist() == []


def test_runs_that_never_differ_have_the_interval_of_no_success_in_so_many_trials():
    """Wilson's upper end for 0 of n, to either side: z^2 / (n + z^2)."""
    found = family(np.zeros((60, 2), dtype=int), level=LEVEL, unit=60)
    end = 1.96**2 / (60 + 1.96**2)
    assert found.numbers(60)[0, 1:3] == pytest.approx([-end, end], abs=1e-4)


def test_the_interval_of_few_differences_is_tango_s_score_interval():
    """Tango (1998) solves the trinomial distribution; differences counted as Poisson
    variables, and a critical value of 2.0, come within half a point of it.
    """
    recordings, plus, minus = 100, 3, 1
    found = family(
        by_recording((plus, minus), recordings=recordings), level=LEVEL, unit=recordings
    )
    low, high = found.numbers(recordings)[0, 1:3]

    def statistic(d):
        b = -plus - minus + (2 * recordings - plus + minus) * d
        c = -minus * d * (1 - d)
        q = (np.sqrt(b * b - 8 * recordings * c) - b) / (4 * recordings)
        variance = recordings * (2 * q + d * (1 - d))
        return abs(plus - minus - recordings * d) / np.sqrt(variance)

    assert statistic(low - 0.001) > 1.96 > statistic(low + 0.005)
    assert statistic(high + 0.001) > 1.96 > statistic(high - 0.005)


@pytest.mark.parametrize("selected", [False, True])
def test_the_interval_of_accuracies_excludes_zero_exactly_if_the_verdict_is_clear(
    selected,
):
    rng = np.random.default_rng(5)
    clear = 0
    for trial in range(120):
        recordings = rng.integers(7, 60)
        clips = rng.integers(1, 9, recordings) if trial % 3 else np.ones(recordings)
        rate = rng.uniform(0, 0.4, 2)
        drawn = rng.random((3, recordings))
        gained = np.round(clips * (drawn < rate[0]).astype(float))
        lost = np.round(clips * (drawn < rate[1]).astype(float))
        differences = np.stack([gained[0] - lost[1], gained[1], lost[2] * 0], axis=1)
        shares = clips / clips.sum()
        found = sign_flip_tests(
            differences,
            shares,
            FAMILY_LEVEL,
            selected=selected,
            draws=300,
            unit=float(clips.sum()),
        )
        low, high = found.interval.T
        total = differences.sum(axis=0)
        assert (((low > 0) | (high < 0)) == (found.p < FAMILY_LEVEL)).all()
        assert (low <= total + 1e-6).all() and (total <= high + 1e-6).all()
        assert (high - low > 0.01).all()
        clear += int((found.p < FAMILY_LEVEL).sum())
    assert clear > 40


def test_a_family_raises_p_values_and_keeps_their_order_and_a_copy_costs_nothing():
    alone = family(by_recording((14, 3))).p[0]
    others = np.random.default_rng(1).integers(-1, 2, (60, 20))
    p = family(np.column_stack([by_recording((14, 3), (30, 2)), others])).p
    assert p[0] > 2 * alone and p[1] < p[0] <= 1
    assert family(by_recording((14, 3), (14, 3))).p == pytest.approx(
        [alone, alone], abs=0.01
    )


def test_runs_that_are_far_worse_do_not_make_the_second_tied():
    """Once the clearly worse runs are removed, the two that remain are compared as a
    pair.
    """
    rng = np.random.default_rng(3)
    worse = 1 - (rng.random((200, 20)) < 0.3)
    found = family(
        np.column_stack([by_recording((13, 1), recordings=200), worse]), selected=True
    )
    assert found.p[1:].max() < 0.001
    assert found.p[0] == pytest.approx(stats.binomtest(1, 14).pvalue, abs=0.005)
    assert found.critical[0] < found.critical[1:].max()


def test_the_best_of_equal_runs_leads_significantly_no_more_often_than_stated():
    """Ten equal runs on 150 independent recordings: the best is selected by the scores
    that are tested.
    """
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(300):
        right = (rng.random((150, 10)) < 0.7).astype(int)
        right = right[:, np.argsort(-right.sum(axis=0))]
        lead = right[:, :1] - right[:, 1:]
        found += family(lead, selected=True, level=LEVEL, draws=300).p.min() < LEVEL
    assert stats.binomtest(found, 300, LEVEL, alternative="greater").pvalue > 0.01


def test_so_many_recordings_are_needed_for_any_verdict():
    """2^(1 - G) is below the level of a family from seven recordings on."""
    assert FEWEST_RECORDINGS == 7
    assert 2.0**-6 < FAMILY_LEVEL < 2.0**-5
    assert family(by_recording((7, 0), recordings=7)).p[0] < FAMILY_LEVEL
    few = family(by_recording((6, 0), recordings=6))
    assert few.p[0] > FAMILY_LEVEL and np.isnan(few.numbers()[0, 1:3]).all()


def shown(right, other, clips, level=FAMILY_LEVEL):
    """`detectable` for recordings (G,) of so many clips, of which the best run and the
    other one have so many right.
    """
    right, other, clips = (np.asarray(x, float) for x in (right, other, clips))
    lead = (right - other) / clips.sum()
    return detectable(lead, clips / clips.sum(), level, clips.sum())


def test_what_can_be_shown_depends_on_how_much_the_rival_differs():
    """It grows with the recordings on which the runs differ, and falls with all
    others.
    """

    def of(plus, minus, recordings=200):
        differences = by_recording((plus, minus), recordings=recordings)[:, 0]
        return shown(differences > 0, differences < 0, np.ones(recordings))

    assert of(20, 20)[0] < of(40, 40)[0] < 2 * of(20, 20)[0]
    assert of(80, 80, 800)[0] < of(20, 20)[0]
    assert of(12, 8)[1] == pytest.approx((3.1 * np.sqrt(20) / 4) ** 2, rel=0.1)


def test_runs_without_a_difference_show_one_that_only_one_run_has_right():
    """Ten clips of 400: that few differ is not that none ever would."""
    assert shown(*np.ones((3, 400)))[0] == pytest.approx(0.024, abs=0.002)


def test_many_recordings_have_the_p_values_of_drawn_signs(monkeypatch):
    rng = np.random.default_rng(0)
    differences = rng.integers(-1, 2, (4000, 2)) + np.array([0.04, 0.0])
    shares = np.full(4000, 1 / 4000)
    drawn = significance.sign_flip_tests(differences, shares, 0.025)
    monkeypatch.setattr(significance, "MOST_FLIPPED", 100)
    normal = significance.sign_flip_tests(differences, shares, 0.025)
    assert normal.p == pytest.approx(drawn.p, abs=0.03)
    assert normal.critical == pytest.approx(drawn.critical, abs=0.1)
