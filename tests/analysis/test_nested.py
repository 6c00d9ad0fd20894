"""The score of the choice on the other folds, and its interval."""

import numpy as np
import pytest

from featurestack.analysis.nested import nested_score
from featurestack.analysis.ranking import rankings
from featurestack.scores.bootstrap import accuracy_interval
from tests.analysis.simulated import simulated_run

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
