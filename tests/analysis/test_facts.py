"""The facts of a report: known answers, never words."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.facts import Facts
from analysis.findings import findings
from analysis.results import Results
from tests.analysis.made_runs import MadeRun


def facts_of(results: Results) -> Facts:
    return findings(results, np.random.default_rng(0)).facts


def test_a_clear_winner_and_a_tie(made: Callable[..., Results]) -> None:
    winner = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.5)))
    assert winner.state == "winner"
    assert [row.verdict for row in winner.rows] == ["best", "clearly worse"]
    assert winner.best is not None
    assert winner.best.accuracy == pytest.approx(0.9)
    assert winner.rows[1].difference == pytest.approx(-0.4)
    tie = facts_of(made(MadeRun(skill=0.9), MadeRun(features="mfcc", skill=0.895)))
    assert tie.state == "tie"
    assert [row.label for row in tie.tied] == ["mfcc"]
    assert (tie.clips, tie.recordings, tie.classes, tie.folds) == (400, 200, 10, 5)
    assert tie.chance == pytest.approx(0.1)


def test_no_run_and_one_run(made: Callable[..., Results]) -> None:
    assert facts_of(Results([], [])).state == "none"
    assert facts_of(made(MadeRun())).state == "one"


def test_a_set_with_a_feature_twice_is_a_control(made: Callable[..., Results]) -> None:
    found = facts_of(made(MadeRun(), MadeRun(features="mel+mel"), MadeRun(features="mel+mfcc")))
    assert {gain.changed: gain.control for gain in found.gains} == {"mel": True, "mfcc": False}
    assert {row.features for row in found.rows if row.control} == {"mel+mel"}


def test_runs_that_are_not_compared_are_counted_by_reason(made: Callable[..., Results]) -> None:
    runs = [MadeRun(), MadeRun(features="zcr"), MadeRun(features="rms", folds=(1, 2)), MadeRun(val="next")]
    found = facts_of(made(*runs)).excluded
    assert {one.reason: one.count for one in found} == {"folds": 1, "protocol": 1}
