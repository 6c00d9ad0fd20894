"""Reports of nothing claim nothing; the whole simulation is a program of its own."""

import numpy as np
from scipy import stats

from analysis.ranking import rankings
from analysis.significance import LEVEL
from tests.analysis.simulated import claims, simulated_runs


def test_reports_of_equal_runs_claim_anything_in_at_most_one_of_twenty() -> None:
    rng = np.random.default_rng(0)
    said = [claims(simulated_runs(5, 200, 5, rng), rng) for _ in range(25)]
    assert stats.binomtest(sum(one.any for one in said), 25, 0.05, alternative="greater").pvalue > 0.01


def test_two_equal_runs_that_were_named_differ_in_at_most_one_report_of_twenty() -> None:
    """At the whole level: `python -m bench.false_claims` counts more of them."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        runs = simulated_runs(2, 100, 5, rng)
        ranking = rankings(runs, rng, 50, named=True)[0]
        assert ranking.level == LEVEL
        found += bool(ranking.pairs["differs"].any())
    assert stats.binomtest(found, 200, LEVEL, alternative="greater").pvalue > 0.01


def test_a_run_that_is_far_better_is_claimed() -> None:
    rng = np.random.default_rng(0)
    assert claims(simulated_runs(3, 400, 10, rng, better=0.2), rng).found[:2] == (True, True)
