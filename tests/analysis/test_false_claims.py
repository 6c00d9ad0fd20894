"""Reports on equal runs rarely claim a difference, and a difference of the detectable
size is found.

`bench.statements` draws more reports.
"""

import numpy as np
import pytest
from scipy import stats

from featurestack.analysis.report.runs import rankings
from featurestack.comparison.significance import FAMILY_LEVEL, LEVEL
from tests.analysis.simulated import (
    claims,
    simulated_runs,
    simulated_tag_runs,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: simulated_runs(5, 200, 5, rng),
        lambda rng: simulated_tag_runs(3, [40] * 8, rng, classes=5),
    ],
    ids=["classes", "tags of few recordings"],
)
def test_reports_of_equal_runs_claim_anything_in_at_most_one_of_twenty(draw):
    rng = np.random.default_rng(5)
    said = [claims(draw(rng)).any for _ in range(40)]
    assert stats.binomtest(sum(said), 40, LEVEL, alternative="greater").pvalue > 0.01


def test_an_interval_of_map_excludes_zero_exactly_if_the_difference_is_clear():
    rng = np.random.default_rng(1)
    clear = []
    excluded = []
    for better in (0.0, 0.4, 0.8, 1.2) * 4:
        runs = simulated_tag_runs(2, [40] * 8, rng, classes=5, better=better)
        (difference,) = rankings(runs)[0].differences
        clear.append(difference.p < FAMILY_LEVEL)
        excluded.append(not difference.low <= 0 <= difference.high)
    assert excluded == clear
    assert 0 < sum(clear) < len(clear)
