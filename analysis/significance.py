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
that are all equally good claims anything (`python -m bench.false_claims`). A report on two runs that were
named for it is one planned comparison: the better of two is selected by a test of two sides, which has
the whole 5 %.

Conventions: G recordings, M differences, R runs, B draws; a difference of a recording is the sum over its
clips, weighted as in the mean that is tested.

**The other tests** are a folded block of the report: runs a and b tested the same N clips; `correct_*` (N,)
bool of one seed each; `folds_*` (F,) accuracies of each fold, seeds averaged. Each says when it applies.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import sparse, stats
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

from commandline.registry import Registry
from results.scores import Floats

LEVEL = 0.05  # of a report
BEST_LEVEL = 0.02  # of it, for the best run against the others
ABLATIONS_LEVEL = 0.02  # for all feature and augmentation ablations
CLASSES_LEVEL = 0.01  # for all classes of all tables: they are many, so a larger share would help little
POWER = 0.80  # with which a difference "would be found"
DRAWS = 10_000  # of signs, where they cannot all be enumerated
CHUNK = 500  # patterns of signs at a time
MOST_PATTERNS = 16  # as a power of two: of more, signs are drawn
SIGNS_SEED = 0  # of the drawn signs: the same numbers in every table and every report
DECIMALS = 9  # to which differences are equal, as shares of the largest
ROUNDING = 1e-9  # standardised sums closer than this are equal
EXACT_BELOW = 25  # discordant clips; above, the chi-squared form is accurate (Agresti 2013, 11.1)


def step_down(differences: Floats, draws: int = DRAWS) -> Floats:
    """P-values (M,) of differences (G, M), adjusted for all of them: step-down maxT of the sign-flip test.

    1 where no recording differs.
    """
    held, patterns = sign_patterns(differences, draws)
    held = sparse.csr_matrix(held.T)
    scale = np.sqrt((differences**2).sum(axis=0))
    scale[scale == 0] = 1
    observed = np.abs(differences.sum(axis=0)) / scale
    order = np.argsort(observed, kind="stable")  # smallest first
    held, reached = held[order], np.zeros(len(order))
    for signs, shares in patterns:
        drawn = np.abs(held @ signs) / scale[order, None]
        largest = np.maximum.accumulate(drawn, axis=0)  # of this difference and all smaller ones
        reached += (largest >= observed[order, None] - ROUNDING) @ shares
    own = [_exact_p(differences[:, place]) for place in order]
    adjusted = np.empty(len(order))
    adjusted[order] = _falling(_at_least(reached, own))
    return adjusted


Patterns = Iterator[tuple[Floats, Floats]]


def sign_patterns(differences: Floats, draws: int = DRAWS) -> tuple[Floats, Patterns]:
    """Rows (H, M), and sign patterns for them: signs (H, b) and their shares (b,), b at a time, 1 in all.

    Where few recordings differ every pattern is enumerated, so that p-values are exact. Else `draws` of them
    are drawn beside the observed one; the signs of a recording depend on its place alone, so that a
    comparison has the same p-value whatever else is compared.
    """
    exact = _all_patterns(differences)
    if exact:
        return exact
    differs = np.abs(differences).max(axis=1) > 0
    return differences[differs], _drawn_patterns(differs, draws)


def _all_patterns(differences: Floats) -> tuple[Floats, Patterns] | None:
    """Every sign pattern; None where there are more than MOST_PATTERNS.

    Rows that are equal but for the sign are counted together: of n such rows the number that are turned is
    binomial, so the row of all has n + 1 patterns instead of 2^n.
    """
    largest = np.abs(differences).max(initial=0) or 1.0
    rows = np.round(differences / largest, DECIMALS)
    rows = rows[(rows != 0).any(axis=1)]
    first = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
    rows, counts = np.unique(rows * np.sign(first)[:, None] + 0.0, axis=0, return_counts=True)
    if np.log2(counts + 1.0).sum() > MOST_PATTERNS:
        return None
    turned = np.indices(tuple(counts + 1)).reshape(len(counts), int(np.prod(counts + 1)))
    shares = np.ones(turned.shape[1])
    for n, of in zip(counts.tolist(), turned, strict=True):
        shares *= _binomial(n)[of]
    signs = (counts[:, None] - 2 * turned).astype(float)
    chunks = range(0, signs.shape[1], CHUNK)
    return rows * largest, ((signs[:, at : at + CHUNK], shares[at : at + CHUNK]) for at in chunks)


@lru_cache(maxsize=256)
def _binomial(n: int) -> Floats:
    """Probabilities (n + 1,) of 0 to n heads of a fair coin."""
    probabilities: Floats = stats.binom.pmf(np.arange(n + 1), n, 0.5)
    return probabilities


def _drawn_patterns(differs: NDArray[np.bool_], draws: int) -> Patterns:
    """Signs of the recordings that differ, after the observed ones `draws` at random."""
    rng = np.random.default_rng(SIGNS_SEED)
    yield np.ones((differs.sum(), 1)), np.full(1, 1 / (draws + 1))
    for start in range(0, draws, CHUNK):
        size = (len(differs), min(CHUNK, draws - start))
        signs = rng.integers(0, 2, size=size, dtype=np.int8)[differs]
        yield np.where(signs, 1.0, -1.0), np.full(size[1], 1 / (draws + 1))


def _exact_p(differences: Floats) -> float:
    """The p-value of differences (G,) by themselves, of all sign patterns; NaN where these are too many."""
    found = _all_patterns(differences[:, None])
    if found is None:
        return np.nan
    rows, patterns = found
    observed = abs(differences.sum()) * (1 - ROUNDING)
    return min(
        1.0, float(sum((np.abs(rows[:, 0] @ signs) >= observed) @ shares for signs, shares in patterns))
    )


def _at_least(adjusted: Floats, own: Sequence[float]) -> Floats:
    """Adjusted p-values, the first of which is of one comparison alone: never below each one's own."""
    raised = np.fmax(adjusted, own)
    if len(raised) and not np.isnan(own[0]):
        raised[0] = own[0]
    return raised


def _falling(p_values: Floats) -> Floats:
    """Of p-values in the order of growing differences none is above the one before it."""
    return np.maximum.accumulate(p_values[::-1])[::-1]


@dataclass(frozen=True)
class PairwiseTests:
    """Sign-flip tests of R runs against each other, the best first."""

    p: Floats  # (R, R) of each pair by itself, not corrected; 1 on the diagonal
    p_best: Floats  # (R,) of the best against each, corrected for all of them and for its selection; 1 first
    critical: Floats  # (R,) standardised lead that each would have needed to be significant; 0 first


def pairwise_tests(sums: Floats, level: float = BEST_LEVEL, draws: int = DRAWS) -> PairwiseTests:
    """Sign-flip tests of the columns of `sums` (G, R), the first of which has the highest total.

    The best was selected by the very scores that are tested, so its lead over another run is compared with
    the largest difference between any two of the runs that are still in question, not with that pair's alone.
    Runs that are significantly worse leave, the worst first, and the rest is tested without them (the model
    confidence set of Hansen, Lunde and Nason 2011, with the range as the statistic).
    """
    sums = sums - sums[:, :1]
    sums[np.abs(sums).max(axis=1) <= ROUNDING] = 0
    runs = sums.shape[1]
    apart = [sums - column[:, None] for column in sums.T]
    scale = np.sqrt([(one**2).sum(axis=0) for one in apart])
    scale[scale < ROUNDING] = 1
    observed = np.abs([one.sum(axis=0) for one in apart]) / scale
    # From here on the best, then the others from the smallest standardised lead to the largest.
    order = np.array([0, *(1 + np.argsort(observed[0, 1:], kind="stable"))])
    by_lead = np.ix_(order, order)
    inverse, least = 1 / scale[by_lead], observed[by_lead] - ROUNDING
    reached, ranges, every = np.eye(runs), [], []
    rows, patterns = sign_patterns(sums[:, order], draws)
    for signs, shares in patterns:
        drawn = rows.T @ signs  # (R, b)
        largest = np.zeros_like(drawn)  # of the pairs among the runs so far
        for place in range(1, runs):
            pairs = np.abs(drawn[:place] - drawn[place]) * inverse[place, :place, None]
            reached[place, :place] += (pairs >= least[place, :place, None]) @ shares
            largest[place] = np.maximum(largest[place - 1], pairs.max(axis=0))
        ranges.append(largest)
        every.append(shares)
    largest, shares = np.concatenate(ranges, axis=1), np.concatenate(every)
    reached[np.triu_indices(runs, k=1)] = reached.T[np.triu_indices(runs, k=1)]
    back = np.argsort(order)
    p = _own_p(sums, observed, reached[np.ix_(back, back)], draws)
    steps = (largest >= least[0, :, None]) @ shares
    lowest = stats.norm.isf(level / 2)  # few recordings that differ make few different sums
    critical = np.maximum(_upper_quantile(largest[1:], shares, level), lowest)
    return PairwiseTests(
        p=p,
        p_best=np.array([1.0, *_falling(_at_least(steps[1:], p[0, order[1:]].tolist()))])[back],
        critical=np.array([0.0, *critical])[back],
    )


def _upper_quantile(values: Floats, shares: Floats, level: float) -> Floats:
    """The smallest values, row by row, that no more than `level` of the shares exceed."""
    order = np.argsort(values, axis=1)
    reached = np.cumsum(shares[order], axis=1)
    place = (reached < 1 - level - ROUNDING).sum(axis=1)
    return np.take_along_axis(values, order[np.arange(len(values)), place][:, None], axis=1)[:, 0]


def _own_p(sums: Floats, observed: Floats, reached: Floats, draws: int) -> Floats:
    """P-values (R, R) of each pair by itself: exact, else by the share of the patterns that reach so far.

    Where no drawn pattern does, by the normal tail: Holm's correction needs small ones. Never below 2 / 2^d,
    the least that d recordings which differ can say.
    """
    p = reached.copy()
    for a, b in combinations(range(len(p)), 2):
        apart = sums[:, a] - sums[:, b]
        exact = _exact_p(apart)
        if np.isnan(exact) and reached[a, b] < 1.5 / (draws + 1):
            least = 2.0 ** (1 - min(int(np.count_nonzero(np.abs(apart) > ROUNDING)), 1000))
            exact = min(reached[a, b], max(2 * stats.norm.sf(observed[a, b]), least))
        p[a, b] = p[b, a] = reached[a, b] if np.isnan(exact) else exact
    return p


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
    """A test of two runs: its title, when it applies, its p-value."""

    title: str
    applies: str
    p_value: Callable[[RunPair], float]


PAIR_TESTS: Registry[PairTest] = Registry("test of two runs")


def pair_test(title: str, applies: str) -> Callable[[Callable[[RunPair], float]], Callable[[RunPair], float]]:
    """Register a test of two runs, its title, and when it applies; the report's other tests include it."""
    return PAIR_TESTS.register(entry=lambda function: PairTest(title, applies, function))


@pair_test(
    "McNemar",
    "Two trained models, the first seed of each, on one test set, each clip independent: it ignores that "
    "clips of one recording are correlated and that another seed would differ, so it finds too many.",
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
    "Corrected resampled t",
    "The same recipe trained anew on each fold: the training sets overlap, so the variance is corrected as "
    "by Nadeau and Bengio (2003); with five folds it misses all but large differences.",
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


NEMENYI = "nemenyi"  # its p-values come from all runs at once, so it is none of PAIR_TESTS
NEMENYI_APPLIES = (
    "Three runs or more on several folds, by ranks alone (Demšar 2006): it asks whether any differs at all; "
    "the folds share training clips, so it is a rough guide, and few folds make the critical difference wide."
)


def described_tests() -> dict[str, tuple[str, str]]:
    """The tests that stand beside the verdicts: the title of each, and when it applies."""
    of_pairs = {name: (test.title, test.applies) for name, test in PAIR_TESTS.items()}
    return of_pairs | {NEMENYI: ("Nemenyi", NEMENYI_APPLIES)}


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
