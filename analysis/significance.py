"""Whether differences between runs are significant: one test, sign flips by source recording.

If two runs are equally good, the difference on a source recording is as often for the one as for the other. The
test draws the sign of every recording's difference again and again and counts how often the sum is at least as
far from zero as the observed one (Fisher's randomisation test; of one clip a recording it is McNemar's exact
test). Recordings on which the runs agree count for nothing.

Several differences are tested as a family by the largest standardised one, under signs drawn for whole
recordings, so that runs that resemble each other cost little (step-down maxT; Westfall and Young 1993). A report
has two families, the best run against the others and ablations, each at half of 5 %, so at most one report in
twenty of runs that are all equally good claims anything (`python -m bench.false_claims`). A report on two runs
that were named for it is one planned comparison, which has the whole 5 %.

The interval of a difference holds every true difference that the test does not reject: less that difference
times a recording's share of the clips, the signs are drawn again. A pattern of signs reaches as far exactly if
the assumed difference lies between the means of the recordings that it turns and of those that it keeps, so the
interval's ends are quantiles of these means (Hartigan 1969). It is corrected as the verdict is, and excludes
zero exactly if the verdict is clear.

Conventions: G recordings, M differences, B patterns of signs; a difference of a recording is the sum over its
clips, in whole numbers if all folds have as many clips, else weighted as in the mean that is tested.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from results.scores import Floats

LEVEL = 0.05  # of a report
FAMILY_LEVEL = LEVEL / 2  # of the best run against the others, and of all ablations
POWER = 0.80  # with which a difference "would be found"
DRAWS = 10_000  # of signs
CHUNK = 500  # patterns of signs at a time
SIGNS_SEED = 0  # the same signs in every table and every report
ROUNDING = 1e-9  # standardised sums closer than this are equal


@dataclass(frozen=True)
class FamilyTests:
    """A family of M tests; `interval` is in the units of the differences' sums."""

    p: Floats  # (M,) corrected for all of the family
    interval: Floats  # (M, 2)
    critical: Floats  # (M,) standardised sum beyond which each is significant


def sign_flip_tests(
    differences: NDArray[np.generic],
    shares: Floats,
    level: float,
    *,
    selected: bool = False,
    draws: int = DRAWS,
) -> FamilyTests:
    """Tests of differences (G, M) of recordings that have these shares (G,) of the mean.

    selected  the differences are those of the best of several runs to each other one. The best was selected by
              the very scores that are tested, so its lead is compared with the largest difference between any
              two runs that are still in question; clearly worse runs leave, the worst first (the model
              confidence set of Hansen, Lunde and Nason 2011, with the range as the statistic).
    """
    totals = differences.sum(axis=0)
    scale = np.sqrt((differences.astype(float) ** 2).sum(axis=0))
    scale[scale < ROUNDING] = 1
    order = np.argsort(np.abs(totals) / scale, kind="stable")  # smallest first
    differences, totals, scale = differences[:, order], totals[order].astype(float), scale[order]
    observed = np.abs(totals) / scale
    rng, both = np.random.default_rng(SIGNS_SEED), np.column_stack([differences, shares]).T
    drawn = [both.sum(axis=1, keepdims=True)]  # the observed pattern is one of them
    for start in range(0, draws, CHUNK):
        size = (len(shares), min(CHUNK, draws - start))
        drawn.append(both @ np.where(rng.integers(0, 2, size=size, dtype=np.int8), 1.0, -1.0))
    *flipped, tilt = np.concatenate(drawn, axis=1)
    patterns, tests = draws + 1, len(order)
    own = np.abs(flipped).reshape(tests, patterns) / scale[:, None]
    largest = own.copy()
    for place in range(1, tests):
        if selected:
            apart = differences[:, :place] - differences[:, [place]]
            between = np.sqrt((apart.astype(float) ** 2).sum(axis=0))[:, None]
            between[between < ROUNDING] = 1
            pairs = np.abs(np.array(flipped[:place]) - flipped[place]) / between
            largest[place] = np.maximum(largest[place], pairs.max(axis=0))
        largest[place] = np.maximum(largest[place], largest[place - 1])
    p = (largest >= observed[:, None] - ROUNDING).mean(axis=1)
    if np.issubdtype(differences.dtype, np.integer):
        exact = np.array([exact_p(column) for column in differences.T])
        p = exact if tests == 1 else np.maximum(p, exact)
    p = np.maximum.accumulate(p[::-1])[::-1]
    most = int(level * patterns)  # patterns that may lie beyond the critical value
    critical = np.sort(largest, axis=1)[:, patterns - 1 - most]
    kept_back = np.flatnonzero(p >= level)
    if len(kept_back):  # the first that is not rejected stops the procedure
        critical[: kept_back[-1] + 1] = critical[kept_back[-1]]
    beyond = (own > critical[:, None] + ROUNDING).mean(axis=1)
    reached = (own >= observed[:, None] - ROUNDING).mean(axis=1)
    # Of one test p is exact and these are drawn: the interval follows the verdict.
    beyond = np.where(p < level, np.maximum(beyond, reached), np.minimum(beyond, reached - 1 / patterns))
    interval = np.empty((tests, 2))
    for place in range(tests):
        with np.errstate(divide="ignore", invalid="ignore"):
            turned = np.round(totals[place] - flipped[place], 12) / np.round(1 - tilt, 12)
            kept = np.round(totals[place] + flipped[place], 12) / np.round(1 + tilt, 12)
        everywhere = ~np.isfinite(turned + kept)
        lower = np.where(everywhere, -np.inf, np.minimum(turned, kept))
        upper = np.where(everywhere, np.inf, np.maximum(turned, kept))
        most = int(beyond[place] * patterns + ROUNDING)
        interval[place] = np.sort(lower)[most], np.sort(upper)[patterns - 1 - most]
    back = np.argsort(order)
    return FamilyTests(p[back], interval[back], critical[back])


def exact_p(differences: NDArray[np.integer]) -> float:
    """The share of all patterns of signs of whole numbers (G,) whose sum is as far from zero as theirs.

    The sum that a pattern turns is a sum of independent numbers, each 0 or a difference: the Fourier transform of
    its distribution is the product of theirs.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = int(sizes @ counts)
    turned = np.arange(total + 1)
    angles = 2j * np.pi * (np.outer(sizes, turned) % (total + 1)) / (total + 1)
    chances = np.fft.ifft(np.prod(((1 + np.exp(-angles)) / 2) ** counts[:, None], axis=0)).real
    reached = chances[np.abs(total - 2 * turned) >= abs(differences.sum())].sum()
    return float(np.clip(reached, min(1.0, 2.0 ** (1 - counts.sum())), 1))


def fewest_recordings(level: float) -> int:
    """So many recordings must differ, all the same way, for a p-value below the level: 2^(1 - G) < level."""
    return int(np.floor(1 - np.log2(level))) + 1


def detectable(difference: Floats, shares: Floats, critical: float) -> tuple[float, float]:
    """(the difference found with POWER, the recordings needed for the observed one over those there are).

    Between runs that differ as much as `difference` (G,), which sums to their difference. Runs that differ on
    few recordings could not be so far apart: the variance is at least that of recordings that all differ the
    same way.
    """
    effective = 1 / float((shares**2).sum())
    observed = difference.sum()
    error = np.sqrt(((difference - observed * shares) ** 2).sum() * len(shares) / (len(shares) - 1))
    # The test divides by a scale that holds the difference itself.
    critical = max(critical, -ndtri(FAMILY_LEVEL / 2))
    critical /= np.sqrt(max(1 - critical**2 / effective, 0.01))
    quantiles = critical + ndtri(POWER)
    found = max(quantiles * error, quantiles**2 / (effective + quantiles**2))
    return float(found), float((quantiles * error / observed) ** 2) if observed else np.inf
