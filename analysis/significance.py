"""Whether differences between runs are significant: one test, sign flips by source
recording.

If two runs are equally good, the difference on a source recording favours either run
equally often. The test draws the signs of all recordings' differences many times and
counts how often their sum is at least as far from zero as the observed one (Fisher's
randomisation test). With one seed, and one clip in each recording, this is McNemar's
exact test. Recordings on which the runs agree do not change p.

Several differences are tested as a family by the largest standardised one, under signs
drawn for whole recordings, so that runs that resemble each other cost little (step-down
maxT; Westfall and Young 1993). A report has two families, the best run against the
others and ablations, each at half of 5 %. If all runs are equally good, at most one
report in twenty claims a difference (`python -m bench.statements`). Two runs alone
are judged at the same level: the same data have one verdict, whatever asked for it.

The interval of a difference inverts the test. It holds every value d that is not
rejected: the test is repeated with d times a recording's share of the clips taken from
each recording's difference. Few recordings that differ say little about those that have
not been seen to differ, so two more are counted, a gain and a loss (Bonett and Price
2012 for one clip in each recording). The interval is corrected as the verdict is, and
excludes zero exactly if the verdict is clear.

Whether the best of several runs is better than chance is tested in one step, by the
largest lead of all (`p_of_lead`).

Conventions: G recordings, M differences, B patterns of signs. A recording's difference
is the sum over its clips, weighted as in the mean that is tested. For tags it is a
difference of jackknife values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from featurestack.scores.bootstrap import FEWEST_RECORDINGS
from featurestack.scores.metrics import Floats

LEVEL = 0.05  # rate at which a report may claim a difference falsely
FAMILY_LEVEL = LEVEL / 2  # for the best run against the others, and for all ablations
DRAWS = 10_000  # patterns of signs
CHUNK = 500  # patterns at a time: 40 MB for 10,000 recordings
SIGNS_SEED = 0  # the same signs in every table and every report
ROUNDING = 1e-9  # standardised sums closer than this are equal


@dataclass(frozen=True)
class FamilyTests:
    """A family of M tests; `interval` has the same units as `total`."""

    total: Floats  # (M,) sum of the differences
    p: Floats  # (M,) corrected for the whole family
    interval: Floats  # (M, 2)
    critical: Floats  # (M,) standardised sum beyond which each is significant

    def numbers(self, unit: float = 1.0) -> Floats:
        """(M, 4): difference and both ends of its interval, as shares of `unit`, then
        p.

        Both ends are NaN if one is infinite: too few or too unequal recordings have no
        interval.
        """
        bounded = np.isfinite(self.interval).all(axis=1, keepdims=True)
        interval = np.where(bounded, self.interval / unit, np.nan)
        return np.column_stack([self.total / unit, interval, self.p])


def sign_flip_tests(
    differences: Floats,
    shares: Floats,
    level: float,
    *,
    selected: bool = False,
    draws: int = DRAWS,
    unit: float | None = None,
) -> FamilyTests:
    """Test differences (G, M) of recordings that have `shares` (G,) of the mean, at a
    level for the family.

    selected  whether the differences are those between the best of several runs and
              each other run. The best was selected by the very scores that are tested,
              so its lead is compared with the largest difference between any two runs
              that are still in question. Clearly worse runs are removed, the worst
              first (model confidence set of Hansen, Lunde and Nason 2011; the range is
              the statistic).
    unit      the largest possible sum of differences; None if there is none, as for log
              probabilities
    """
    scale = np.maximum(np.linalg.norm(differences, axis=0), ROUNDING)
    standardised = np.abs(differences.sum(axis=0)) / scale
    order = np.argsort(standardised, kind="stable")  # the smallest first
    differences, shares = in_order_of_content(differences[:, order], shares)
    scale = scale[order]
    totals = differences.sum(axis=0)
    observed = np.abs(totals) / scale
    flipped = flipped_totals(differences, draws)
    largest = largest_statistics(flipped, differences, scale, selected=selected)
    p = (largest >= observed[:, None] - ROUNDING).mean(axis=1)
    p = np.maximum.accumulate(p[::-1])[::-1]
    # no less than for many recordings: runs may never differ on those observed
    critical = np.quantile(largest, 1 - level, axis=1)
    critical = np.maximum(critical, ndtri(1 - level / 2))
    # the largest difference that is not rejected stops the procedure
    critical[p >= level] = critical[p >= level].max(initial=0)
    interval = inverted_intervals(differences, shares, critical, p < level, unit)
    back = np.argsort(order)
    return FamilyTests(totals[back], p[back], interval[back], critical[back])


def p_of_lead(
    leads: Floats, shares: Floats, place: int, variance: float = 1.0
) -> float:
    """p of one of the leads (G, R) of runs over chance, corrected because it is the
    largest of R, in one step: the share of patterns of signs whose largest standardised
    lead is at least as large.

    variance  of the score, over that of recordings alone
    """
    leads, _ = in_order_of_content(leads, shares)
    scale = np.maximum(np.linalg.norm(leads, axis=0), ROUNDING)
    largest = (flipped_totals(leads) / scale[:, None]).max(axis=0)
    observed = leads[:, place].sum() / scale[place] / np.sqrt(variance)
    return float((largest >= observed - ROUNDING).mean())


def in_order_of_content(differences: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Both with the recordings in an order that no name decides. The sizes come first:
    a test by sign flips must not order recordings by their signs.
    """
    order = np.lexsort((shares, *differences.T, *np.abs(differences).T))
    return differences[order], shares[order]


def flipped_totals(differences: Floats, draws: int = DRAWS) -> Floats:
    """(M, B) sums of differences (G, M) under drawn signs; the first are observed."""
    rng = np.random.default_rng(SIGNS_SEED)
    totals = [differences.sum(axis=0)[:, None]]
    for _ in range(0, draws, CHUNK):
        drawn = rng.integers(0, 2, (len(differences), CHUNK), dtype=np.int8)
        signs = 2.0 * drawn - 1
        totals.append(differences.T @ signs)
    return np.concatenate(totals, axis=1)


def largest_statistics(
    flipped: Floats,
    differences: Floats,
    scale: Floats,
    *,
    selected: bool,
) -> Floats:
    """(M, B) the largest standardised sum under each pattern, of a difference and those
    before it.

    flipped      (M, B) sums under each pattern
    differences  (G, M), the smallest standardised sum first
    scale        (M,)
    selected     as in `sign_flip_tests`: differences between two of them count too
    """
    largest = np.abs(flipped) / scale[:, None]
    for place in range(1, len(largest)):
        if selected:
            between = differences[:, :place] - differences[:, [place]]
            apart = np.maximum(np.linalg.norm(between, axis=0), ROUNDING)
            sums_between = np.abs(flipped[:place] - flipped[place])
            pairs = sums_between / apart[:, None]
            largest[place] = np.maximum(largest[place], pairs.max(axis=0))
        largest[place] = np.maximum(largest[place], largest[place - 1])
    return largest


def inverted_intervals(
    differences: Floats,
    shares: Floats,
    critical: Floats,
    clear: NDArray[np.bool_],
    unit: float | None,
) -> Floats:
    """(M, 2) intervals that hold every d that is not rejected: (total - d)^2 <=
    critical^2 (sum((difference - d share)^2) + more).

    `more` are two further recordings whose clips change together as far as in those
    observed and in one more, whose clips change all; none without a `unit`. With few or
    very unequal recordings there is no interval.
    """
    totals = differences.sum(axis=0)
    change = np.abs(differences) / (shares[:, None] * (unit or 1))
    mean_change = (change.sum(axis=0) + 1) / ((change > ROUNDING).sum(axis=0) + 1)
    full = 0.0 if unit is None else unit**2 * float(shares @ shares) / len(shares)
    more = 2 * mean_change**2 * full
    squared = critical**2
    curvature = 1 - squared * (shares @ shares)
    bounded = (curvature > 0) & (len(shares) >= FEWEST_RECORDINGS)
    with np.errstate(all="ignore"):
        centre = (totals - squared * (shares @ differences)) / curvature
        sums = np.square(differences).sum(axis=0) + more
        reach = np.sqrt(centre**2 - (totals**2 - squared * sums) / curvature)
    # Zero is left out exactly if the verdict is clear.
    least = ROUNDING * (unit or 1)
    low, high = centre - reach, centre + reach
    low = np.where(clear & (totals > 0), np.maximum(low, least), low)
    high = np.where(clear & (totals < 0), np.minimum(high, -least), high)
    low = np.where(clear, low, np.minimum(low, 0))
    high = np.where(clear, high, np.maximum(high, 0))
    ends = np.stack([low, high], axis=1)
    return np.where(bounded[:, None], ends, [-np.inf, np.inf])


def standard_error(differences: Floats, shares: Floats) -> Floats:
    """Standard errors of the sums over recordings of differences (G,) or (G, M).

    shares  (G,) the weight of each recording; differences in proportion to them have
            the error 0
    """
    effective = 1 / float(shares @ shares)
    expected = np.multiply.outer(shares, differences.sum(axis=0))
    spread = np.linalg.norm(differences - expected, axis=0)
    if effective <= 1:
        return np.full_like(spread, np.nan)
    return spread * np.sqrt(effective / (effective - 1))
