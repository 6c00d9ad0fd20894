"""Intervals by resampling recordings, and the sign-flip test: known answers, published
tests, and how often they hold the truth.
"""

import numpy as np
import pytest
from scipy import stats

from featurestack.comparison.significance import (
    DIFFERENCE_INTERVAL,
    FAMILY_LEVEL,
    FEWEST_RECORDINGS,
    LEVEL,
    accuracy_interval,
    between_recordings,
    p_of_leads,
    sign_flip_tests,
    variance_of_training,
)


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
    """(M, 4): total, both ends of its interval, p."""
    shares = np.full(len(differences), 1 / len(differences))
    return sign_flip_tests(
        differences, shares, **({"level": FAMILY_LEVEL, "draws": 2000} | given)
    )


def p_of(*pairs, recordings=60, **given):
    return family(by_recording(*pairs, recordings=recordings), **given)[:, 3]


@pytest.mark.parametrize(("plus", "minus"), [(4, 0), (7, 0), (9, 1), (20, 8)])
def test_with_one_clip_a_recording_the_test_is_mcnemars_exact_test(plus, minus):
    exact = stats.binomtest(minus, plus + minus).pvalue
    for selected in (False, True):
        found = p_of((plus, minus), selected=selected)
        assert found == pytest.approx([exact], abs=0.02)


def test_equal_runs_have_p_value_one():
    assert family(np.zeros((60, 2), dtype=int))[:, 3].tolist() == [1, 1]
    assert family(np.zeros((9, 0), dtype=int))[:, 3].tolist() == []


def test_the_interval_of_few_differences_counts_a_gain_and_a_loss_more():
    """Bonett and Price (2012) have 3 and 1 of 100 at -3.0 to 7.0 points; runs that
    never differ are not known to be equal.
    """
    found = family(by_recording((3, 1), (0, 0), recordings=100), level=LEVEL, unit=100)
    few, none = found[:, 1:3]
    assert few == pytest.approx([-0.03, 0.07], abs=0.01)
    assert -0.05 < none[0] < -0.02 and none[0] == pytest.approx(-none[1])


def test_the_interval_of_a_difference_has_the_level_of_its_name():
    """Of one difference and many recordings it is the normal interval of this level."""
    differences = by_recording((450, 450), recordings=1200)
    ((_, low, high, _),) = family(differences, unit=1200, draws=20_000)
    error = np.linalg.norm(differences) / 1200
    level = 2 * stats.norm.cdf((high - low) / 2 / error) - 1
    assert DIFFERENCE_INTERVAL == "97.5 % interval"
    assert level == pytest.approx(0.975, abs=0.004)


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
        given = {"selected": selected, "draws": 300, "unit": float(clips.sum())}
        found = sign_flip_tests(differences, shares, FAMILY_LEVEL, **given)
        total, low, high, p = found[~np.isnan(found[:, 1])].T
        assert (((low > 0) | (high < 0)) == (p < FAMILY_LEVEL)).all()
        assert (low <= total + 1e-6).all() and (total <= high + 1e-6).all()
        assert ((high - low) * clips.sum() > 0.01).all()
        clear += int((p < FAMILY_LEVEL).sum())
    assert clear > 40


def test_a_family_raises_p_values_and_keeps_their_order_and_a_copy_costs_nothing():
    alone = p_of((14, 3))[0]
    others = np.random.default_rng(1).integers(-1, 2, (60, 20))
    p = family(np.column_stack([by_recording((14, 3), (30, 2)), others]))[:, 3]
    assert p[0] > 2 * alone and p[1] < p[0] <= 1
    assert p_of((14, 3), (14, 3)) == pytest.approx([alone, alone], abs=0.01)


def test_runs_that_are_far_worse_do_not_hide_the_second():
    """Once the clearly worse runs are removed, the two that remain are compared as a
    pair.
    """
    rng = np.random.default_rng(3)
    worse = 1 - (rng.random((200, 20)) < 0.3)
    both = np.column_stack([by_recording((13, 1), recordings=200), worse])
    p = family(both, selected=True)[:, 3]
    assert p[1:].max() < 0.001
    assert p[0] == pytest.approx(stats.binomtest(1, 14).pvalue, abs=0.005)


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
        p = family(lead, selected=True, level=LEVEL, draws=300)[:, 3]
        found += p.min() < LEVEL
    assert stats.binomtest(found, 300, LEVEL, alternative="greater").pvalue > 0.01


def test_so_many_recordings_are_needed_for_any_verdict():
    """2^(1 - G) is below the level of a family from seven recordings on."""
    assert FEWEST_RECORDINGS == 7
    assert 2.0**-6 < FAMILY_LEVEL < 2.0**-5
    assert p_of((7, 0), recordings=7)[0] < FAMILY_LEVEL
    _, low, high, p = family(by_recording((6, 0), recordings=6))[0]
    assert p > FAMILY_LEVEL and np.isnan(low) and np.isnan(high)


def test_the_best_of_several_is_better_than_chance_in_one_step():
    """A set far below chance does not leave the others alone, and has p near 1; a score
    that scatters more than clips do is less clear.
    """
    rng = np.random.default_rng(0)
    right = rng.random((60, 8)) < 0.5
    right[:, 0] = np.arange(60) < 41
    right[:, 1] = np.arange(60) < 10
    leads = right - 0.5
    shares = np.full(60, 1 / 60)
    (alone,) = p_of_leads(leads[:, :1], shares)
    assert alone == pytest.approx(stats.binom.sf(40, 60, 0.5), abs=0.002)
    best, worst, *_ = p_of_leads(leads, shares)
    assert alone * 4 < best < alone * 9
    assert worst > 0.99
    assert p_of_leads(leads[:, :1], shares, 2.25) > 5 * alone


def test_the_variance_of_training_counts_only_what_differs_between_recordings():
    mixed = by_recording((20, 6))
    more = 0.5 * between_recordings(mixed, np.full(60, 1 / 60))
    before, after = (family(mixed, training=own, unit=60)[0] for own in (0.0, more))
    assert after[0] == before[0] and 2 * before[3] < after[3]
    assert after[1] < before[1] < before[2] < after[2]
    uniform = np.full((7, 1), 3.0)
    more = 1.25 * between_recordings(uniform, np.full(7, 1 / 7))
    before, after = (family(uniform, training=own)[0] for own in (0.0, more))
    assert after[3] == before[3] == pytest.approx(2 / 128, abs=0.005)
    leads, shares = np.full((7, 1), 0.1), np.full(7, 1 / 7)
    assert p_of_leads(leads, shares, 2.25) == pytest.approx(1 / 128, abs=0.004)


def interval(correct, groups):
    return accuracy_interval(correct[:, None], groups, np.ones(len(correct)))[0]


def test_with_one_clip_a_recording_it_is_wilsons_interval():
    correct = np.array([1.0] * 90 + [0.0] * 310)
    wilson = stats.binomtest(90, 400).proportion_ci(method="wilson")
    assert interval(correct, np.arange(400)) == pytest.approx(
        [wilson.low, wilson.high], abs=0.003
    )


def test_a_perfect_score_has_an_interval():
    low, high = interval(np.ones(40), np.repeat(np.arange(20), 2))
    squared = stats.t.ppf(0.975, 19) ** 2 / 20
    assert (low, high) == pytest.approx((1 / (1 + squared), 1))


@pytest.mark.parametrize(
    ("sizes", "accuracy", "widest"), [([4] * 5, 0.7, 0.65), ([4] * 20, 0.95, 0.16)]
)
def test_intervals_hold_the_truth_about_as_often_as_stated(sizes, accuracy, widest):
    """Clips of a recording share half of the variance of their difficulty.

    The number of intervals that hold the truth is not significantly below 95 %.
    """
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(len(sizes)), sizes)
    held = 0
    widths = []
    for _ in range(150):
        of_recordings = rng.normal(size=len(sizes))[place]
        difficulty = np.sqrt(0.5) * (of_recordings + rng.normal(size=len(place)))
        right = difficulty < stats.norm.ppf(accuracy)
        low, high = interval(right.astype(float), place)
        held += low <= accuracy <= high
        widths.append(high - low)
    assert stats.binomtest(held, 150, 0.95, alternative="less").pvalue > 0.01
    assert np.mean(widths) < widest


@pytest.mark.parametrize("clips", [1, 4])
def test_a_class_whose_few_clips_are_all_right_is_not_sure(clips):
    """95 of 100 clips of one class are right, and all 5 of the other, whose recall may
    be 56 % (the lower end of Wilson's interval), so that the mean may be 75 %. Clips of
    a recording that are right together add nothing.
    """
    correct = np.repeat([1.0] * 95 + [0.0] * 5 + [1.0] * 5, clips)
    labels = np.eye(2, dtype=bool)[np.repeat([0] * 100 + [1] * 5, clips)]
    weights = labels @ (len(labels) / labels.sum(axis=0) / 2)
    given = correct[:, None], np.arange(105).repeat(clips), weights, 1.0
    assert accuracy_interval(*given)[0, 0] > 0.91
    ((low, high),) = accuracy_interval(*given, labels)
    assert 0.7 < low < 0.85 and high > 0.98


def test_drawings_of_the_folds_measure_the_variance_of_training():
    """What differs between drawings counts twice, at least a quarter of what differs
    between recordings; a model that is not exact has a factor instead, as has a single
    drawing. Two models alone, which are tested at twice the level, need more.
    """
    rng = np.random.default_rng(0)
    shares = np.full(60, 1 / 60)
    mean = rng.normal(size=(60, 1))
    swing = np.array([1, -1, 1, -1, 0])[:, None, None]
    between = between_recordings(mean, shares)
    (measured,) = variance_of_training(mean + swing, shares, exact=True)
    assert measured == pytest.approx(2 * 60)
    (pair,) = variance_of_training(mean + swing, shares, exact=True, level=LEVEL)
    assert pair == pytest.approx(1.75 * measured)
    equal = variance_of_training(mean + 0 * swing, shares, exact=True)
    assert equal == pytest.approx(0.25 * between)
    for exact, factor in ((True, 0.5), (False, 1.0)):
        single = variance_of_training(mean[None], shares, exact=exact)
        assert single == pytest.approx(factor * between)
    other = variance_of_training(mean + swing, shares, exact=False)
    assert other == pytest.approx(between_recordings(mean, shares))
    few = variance_of_training(mean[None, :12], np.full(12, 1 / 12), exact=True)
    assert few == pytest.approx(between_recordings(mean[:12], np.full(12, 1 / 12)))


def test_few_recordings_are_tested_with_all_patterns_of_signs():
    """p of 9 recordings that all favour one is 2 of 512 patterns, exactly."""
    assert p_of((9, 0), recordings=9)[0] == 2 / 512
    assert p_of((8, 1), recordings=9)[0] == 20 / 512
