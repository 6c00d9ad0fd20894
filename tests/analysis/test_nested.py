"""The score of the choice on the other folds, and its interval."""

import numpy as np
import pytest

from featurestack.analysis.nested import nested_score
from featurestack.analysis.ranking import rankings
from featurestack.results.bootstrap import accuracy_interval
from tests.analysis.simulated import simulated_run, simulated_runs

CLIPS = 40
FOLD = np.arange(CLIPS) % 5 + 1


def run(features, correct):
    """A run that has these of 40 clips right, each a recording of its own."""
    target = np.arange(CLIPS) // 5 % 2
    predicted = np.where(correct, target, 1 - target)
    labels = np.eye(2, dtype=bool)[target]
    return simulated_run(features, np.arange(CLIPS), FOLD, labels, np.eye(2)[predicted])


def test_a_tie_on_the_other_folds_is_not_decided_by_the_tested_fold():
    """Both runs have half of folds 2 to 5 right, the second all of fold 1."""
    half = np.arange(CLIPS) // 5 % 4 < 2
    first = run("mel", half)
    second = run("mfcc", half | (FOLD == 1))
    main = rankings([first, second])[0]
    assert main.best is second and main.accuracy[0] == pytest.approx(0.6)
    assert nested_score(main)[0] == pytest.approx(0.5)


def test_a_choice_that_is_never_in_question_has_the_interval_of_its_run():
    better = run("mel", np.arange(CLIPS) // 5 < 6)
    main = rankings([better, run("mfcc", np.arange(CLIPS) < 0)])[0]
    weights = np.ones(CLIPS)
    own = accuracy_interval(better.correct[:, None], better.groups, weights)
    assert nested_score(main) == pytest.approx((0.75, *own[0]))


@pytest.mark.slow
def test_the_interval_holds_the_truth_of_equal_runs():
    """The best of 30 equal runs on 40 clips: its own interval holds 75 % in 78 % of
    reports, that of the choice on the other folds in 98.
    """
    rng = np.random.default_rng(1)
    held = []
    for _ in range(60):
        main = rankings(simulated_runs(30, 40, 10, rng))[0]
        own_low, own_high = main.interval[0]
        mean, low, high = nested_score(main)
        held.append((own_low <= 0.75 <= own_high, low <= 0.75 <= high, mean))
    own, nested, mean = np.mean(held, axis=0)
    assert own < 0.85 and nested >= 0.93
    assert mean == pytest.approx(0.75, abs=0.03)
