"""The tests that are common in the literature beside the bootstrap: a folded block of the report.

Conventions: runs a and b tested the same N clips; `correct_*` (N,) bool of one seed each; `folds_*`
(F,) accuracies of each fold, seeds averaged. Each test says in one line when it applies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

from commandline import Registry
from train.scores import Floats

LEVEL = 0.05
EXACT_BELOW = 25  # discordant clips; above, the chi-squared form is accurate (Agresti 2013, 11.1)


@dataclass(frozen=True)
class RunPair:
    """The results of two runs that a test may use."""

    correct_a: NDArray[np.bool_]  # (N,) of the first seed
    correct_b: NDArray[np.bool_]
    folds_a: Floats  # (F,)
    folds_b: Floats
    test_share: float  # test clips over training clips of a fold


@dataclass(frozen=True)
class PairTest:
    """A named test of two runs: p-value, and when it applies."""

    applies: str
    p_value: Callable[[RunPair], float]


PAIR_TESTS: Registry[PairTest] = Registry("test of two runs")


def pair_test(applies: str) -> Callable[[Callable[[RunPair], float]], Callable[[RunPair], float]]:
    """Register a test of two runs, and when it applies; the report's other tests include it."""
    return PAIR_TESTS.register(entry=lambda function: PairTest(applies, function))


@pair_test(
    "Two trained models, the first seed of each, on one test set, each clip independent: it ignores that "
    "clips of one recording are correlated and that another seed would differ, so it finds too many."
)
def mcnemar(pair: RunPair) -> float:
    """McNemar's test of the clips that only one of the two predicted correctly, first seed of each."""
    a, b = pair.correct_a, pair.correct_b
    table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
    discordant = table[0][1] + table[1][0]
    if not discordant:
        return 1.0
    return float(exact_mcnemar(table, exact=bool(discordant < EXACT_BELOW), correction=True).pvalue)


@pair_test(
    "The same recipe trained anew on each fold: the training sets overlap, so the variance is corrected as "
    "by Nadeau and Bengio (2003); with five folds it misses all but large differences."
)
def corrected_resampled_t(pair: RunPair) -> float:
    """Paired t over folds with variance (1/F + test/train) instead of 1/F."""
    difference = pair.folds_a - pair.folds_b
    folds = len(difference)
    if folds < 2:
        return float("nan")
    variance = difference.var(ddof=1) * (1 / folds + pair.test_share)
    if variance == 0:
        return 1.0 if difference.mean() == 0 else 0.0
    return float(2 * stats.t.sf(abs(difference.mean()) / np.sqrt(variance), folds - 1))


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjusted p-values, NaN left out of the family.

    statsmodels gives the same, but collects garbage at each call: 80 ms beside a report's data.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: np.sum(~np.isnan(p_values))]  # NaN sorts last
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of R runs over F folds, and Nemenyi's critical difference of mean ranks."""

    statistic: float
    p: float
    ranks: Floats  # (R,) mean rank over the folds; 1 is best
    critical_difference: float
    nemenyi: Floats  # (R, R) p-values


FRIEDMAN_APPLIES = (
    "Three runs or more on several folds, by ranks alone (Demšar 2006): it asks whether any differs at all; "
    "the folds share training clips, so it is a rough guide, and few folds make the critical difference wide."
)


def friedman(fold_accuracy: Floats) -> Friedman | None:
    """Test accuracies (F, R); None for fewer than two folds or three runs, where it is undefined."""
    folds, runs = fold_accuracy.shape
    if folds < 2 or runs < 3:
        return None
    ranks = stats.rankdata(-fold_accuracy, axis=1).mean(axis=0)
    critical = nemenyi_critical_difference(runs, folds)
    if np.ptp(fold_accuracy, axis=1).max() == 0:  # all tied in every fold: the statistic is 0 / 0
        return Friedman(0.0, 1.0, ranks, critical, np.ones((runs, runs)))
    statistic, p = stats.friedmanchisquare(*fold_accuracy.T)
    nemenyi = posthoc_nemenyi_friedman(pd.DataFrame(fold_accuracy)).to_numpy(dtype=float)
    return Friedman(float(statistic), float(p), ranks, critical, nemenyi)


def nemenyi_critical_difference(runs: int, folds: int, level: float = LEVEL) -> float:
    """Mean ranks further apart than this differ (Nemenyi; Demšar 2006, section 3.2.2)."""
    q = stats.studentized_range.ppf(1 - level, runs, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(runs * (runs + 1) / (6 * folds)))
