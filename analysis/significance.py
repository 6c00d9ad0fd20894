"""Whether differences are significant: the sign-flip test of every verdict, and other common tests.

**The verdicts.** Where two runs are equally good, the difference on a source recording is as often for the
one as for the other. The sign-flip test draws the sign of every recording's difference again and again and
counts how often the sum is at least as large as the observed one (Fisher's randomisation test; of one clip a
recording it is McNemar's exact test). A recording on which the runs agree counts for nothing: four that
differ, all the same way, give p = 1/8 however many agree.

Several differences are tested as a family by the largest standardised one (step-down maxT; Westfall and
Young 1993), under signs drawn for whole recordings, so that runs that resemble each other cost little. A
report makes three kinds of statements, each of which is a family with a share of the 5 %: the best run
against the others, feature and augmentation ablations, and classes. So at most one report in twenty of runs
that are all equally good claims anything (`python -m bench.false_claims`).

Conventions: G recordings, M differences, R runs, B draws; a difference of a recording is the sum over its
clips, weighted as in the mean that is tested.

**The other tests** are a folded block of the report: runs a and b tested the same N clips; `correct_*` (N,)
bool of one seed each; `folds_*` (F,) accuracies of each fold, seeds averaged. Each says when it applies.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import sparse, stats
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

from commandline import Registry
from train.scores import Floats, Ints

LEVEL = 0.05  # of a report
BEST_LEVEL = 0.02  # of it, for the best run against the others
ABLATIONS_LEVEL = 0.02  # for all feature and augmentation ablations
CLASSES_LEVEL = 0.01  # for all classes of all tables: they are many, so a larger share would help little
POWER = 0.80  # with which a difference "would be found"
DRAWS = 10_000  # of signs
CHUNK = 500  # draws at a time
ROUNDING = 1e-9  # standardised sums closer than this are equal
EXACT_BELOW = 25  # discordant clips; above, the chi-squared form is accurate (Agresti 2013, 11.1)


def step_down(differences: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """P-values (M,) of differences (G, M), adjusted for all of them: step-down maxT of the sign-flip test.

    1 where no recording differs.
    """
    held = sparse.csr_matrix(differences.T)
    scale = np.sqrt(np.asarray(held.multiply(held).sum(axis=1)).ravel())
    scale[scale == 0] = 1
    observed = np.abs(np.asarray(held.sum(axis=1)).ravel()) / scale
    order = np.argsort(observed, kind="stable")  # smallest first
    held, reached = held[order], np.zeros(len(order))
    for signs in drawn_signs(len(differences), draws, rng):
        drawn = np.abs(held @ signs) / scale[order, None]
        largest = np.maximum.accumulate(drawn, axis=0)  # of this difference and all smaller ones
        reached += (largest >= observed[order, None] - ROUNDING).sum(axis=1)
    adjusted = np.empty(len(order))
    adjusted[order] = _falling((reached + 1) / (draws + 1))
    return adjusted


def drawn_signs(recordings: int, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Signs (G, b), b draws at a time, `draws` in all."""
    for start in range(0, draws, CHUNK):
        size = (recordings, min(CHUNK, draws - start))
        yield np.where(rng.integers(0, 2, size=size, dtype=np.int8), 1.0, -1.0)


def _falling(p_values: Floats) -> Floats:
    """Of p-values in the order of growing differences none is above the one before it."""
    return np.maximum.accumulate(p_values[::-1])[::-1]


@dataclass(frozen=True)
class PairwiseTests:
    """Sign-flip tests of R runs against each other, the best first."""

    p: Floats  # (R, R) of each pair by itself, not corrected; 1 on the diagonal
    p_best: Floats  # (R,) of the best against each, corrected for all of them and for its selection; 1 first
    critical: Floats  # (R,) standardised lead that each would have needed to be significant; 0 first


def pairwise_tests(sums: Floats, rng: np.random.Generator, draws: int = DRAWS) -> PairwiseTests:
    """Sign-flip tests of the columns of `sums` (G, R), the first of which has the highest total.

    The best was selected by the very scores that are tested, so its lead over another run is compared with
    the largest difference between any two of the runs that are still in question, not with that pair's alone.
    Runs that are significantly worse leave, the worst first, and the rest is tested without them (the model
    confidence set of Hansen, Lunde and Nason 2011, with the range as the statistic).
    """
    sums = sums - sums[:, :1]
    sums = sums[np.abs(sums).max(axis=1) > ROUNDING]
    recordings, runs = sums.shape
    apart = [sums - column[:, None] for column in sums.T]
    scale = np.sqrt([(one**2).sum(axis=0) for one in apart])
    scale[scale < ROUNDING] = 1
    observed = np.abs([one.sum(axis=0) for one in apart]) / scale
    discordant = np.array([(np.abs(one) > ROUNDING).sum(axis=0) for one in apart])
    # From here on the best, then the others from the smallest standardised lead to the largest.
    order = np.array([0, *(1 + np.argsort(observed[0, 1:], kind="stable"))])
    by_lead = np.ix_(order, order)
    inverse, least = 1 / scale[by_lead], observed[by_lead] - ROUNDING
    reached, ranges = draws * np.eye(runs), []
    for signs in drawn_signs(recordings, draws, rng):
        drawn = sums[:, order].T @ signs  # (R, b)
        largest = np.zeros_like(drawn)  # of the pairs among the runs so far
        for place in range(1, runs):
            pairs = np.abs(drawn[:place] - drawn[place]) * inverse[place, :place, None]
            reached[place, :place] += (pairs >= least[place, :place, None]).sum(axis=1)
            largest[place] = np.maximum(largest[place - 1], pairs.max(axis=0))
        ranges.append(largest)
    largest = np.concatenate(ranges, axis=1)
    reached[np.triu_indices(runs, k=1)] = reached.T[np.triu_indices(runs, k=1)]
    steps = (largest >= least[0, :, None]).sum(axis=1)
    lowest = stats.norm.isf(BEST_LEVEL / 2)  # few recordings that differ make few different sums
    back = np.argsort(order)
    return PairwiseTests(
        p=_tail(observed, reached[np.ix_(back, back)], discordant, draws),
        p_best=np.array([1.0, *_falling((steps[1:] + 1) / (draws + 1))])[back],
        critical=np.array([0.0, *np.maximum(np.quantile(largest[1:], 1 - BEST_LEVEL, axis=1), lowest)])[back],
    )


def _tail(observed: Floats, reached: Floats, discordant: Ints, draws: int) -> Floats:
    """P-values by count; where no draw came so far, by the normal tail: Holm's correction needs small ones.

    Never below 2 / 2^d, the least that d recordings which differ can say.
    """
    counted = (reached + 1) / (draws + 1)
    tail = np.maximum(2 * stats.norm.sf(observed), 2.0 ** (1 - np.minimum(discordant, 1000)))
    return np.where(reached > 0, counted, np.minimum(counted, tail))


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
