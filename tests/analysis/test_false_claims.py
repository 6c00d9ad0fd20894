"""Reports of nothing claim nothing; the whole simulation is a program of its own."""

import numpy as np
from scipy import stats

from tests.analysis.simulated import claims, simulated_runs


def test_reports_of_equal_runs_claim_anything_in_at_most_one_of_twenty() -> None:
    rng = np.random.default_rng(0)
    said = [claims(simulated_runs(5, 200, 5, rng), rng) for _ in range(25)]
    assert stats.binomtest(sum(one.any for one in said), 25, 0.05, alternative="greater").pvalue > 0.01


def test_a_run_that_is_far_better_is_claimed() -> None:
    rng = np.random.default_rng(0)
    assert claims(simulated_runs(3, 400, 10, rng, better=0.2), rng).found[:2] == (True, True)
