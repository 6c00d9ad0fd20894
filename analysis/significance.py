"""Whether differences between runs are significant: one test, sign flips by source
recording.

If two runs are equally good, the difference on a source recording favours either run
equally often. The test draws the signs of all recordings' differences many times and
counts how often their sum is at least as far from zero as the observed one (Fisher's
randomisation test). A single difference in whole numbers has an exact p; with one seed,
and one clip in each recording, this is McNemar's exact test. Recordings on which the
runs agree do not change p.

Several differences are tested as a family by the largest standardised one, under signs
drawn for whole recordings, so that runs that resemble each other cost little (step-down
maxT; Westfall and Young 1993). A report has two families, the best run against the
others and ablations, each at half of 5 %. If all runs are equally good, at most one
report in twenty claims a difference (`python -m bench.statements`). Two runs alone
are judged at the same level: the same data have one verdict, whatever asked for it.

The interval of a difference inverts the test. It holds every value d that is not
rejected: the test is repeated with d times a recording's share of the clips taken from
each recording's difference. The interval is corrected as the verdict is, and excludes
zero exactly if the verdict is clear.

Few recordings that differ say little about those that have not been seen to differ. If
differences have a known largest value, as accuracies have, a d that is further from
zero asks for more differing recordings than were observed, and their variance is added
(a score interval; Tango 1998 for one clip in each recording). Two runs without any
difference on 40 recordings then have an interval of 9 points to either side.

The power of the test is known: `detectable` is the smallest difference that it finds.

Conventions: G recordings, M differences, B patterns of signs. A recording's difference
is the sum over its clips: a whole number if all folds have equally many clips, else
weighted as in the mean that is tested. For tags it is a difference of jackknife values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from featurestack.scores.bootstrap import FEWEST_RECORDINGS
from featurestack.scores.metrics import Floats

LEVEL = 0.05  # rate at which a report may claim a difference falsely
FAMILY_LEVEL = LEVEL / 2  # for the best run against the others, and for all ablations
POWER = 0.80  # probability with which `detectable` differences are found
FEWEST_FOR_POWER = 12
DRAWS = 10_000  # patterns of signs
# recordings above which their sums under drawn signs are drawn as normal variables,
# which they nearly are: 200,000 recordings take minutes with signs
MOST_FLIPPED = 10_000
CHUNK = 500  # patterns at a time: 40 MB for 10,000 recordings
SIGNS_SEED = 0  # the same signs in every table and every report
ROUNDING = 1e-9  # standardised sums closer than this are equal
SCORE_BISECTIONS = 40  # the ends of an interval, to 1e-12


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
    differences = differences[:, order]
    scale = scale[order]
    # No name decides the drawn signs. The sizes come first: a test by sign flips must
    # not order recordings by their signs.
    by_content = np.lexsort((shares, *differences.T, *np.abs(differences).T))
    differences = differences[by_content]
    shares = shares[by_content]
    totals = differences.sum(axis=0)
    observed = np.abs(totals) / scale
    flipped = flipped_totals(differences, draws)
    largest = largest_statistics(flipped, differences, scale, selected=selected)
    p = (largest >= observed[:, None] - ROUNDING).mean(axis=1)
    whole_numbers = not (differences % 1).any()
    if whole_numbers:
        exact = np.array([exact_p(column) for column in differences.T])
        p = exact if len(exact) == 1 else np.maximum(p, exact)
    largest_first = p[::-1]
    p = np.maximum.accumulate(largest_first)[::-1]
    critical = critical_values(largest, observed, p, level)
    clear = p < level
    if unit is None:
        interval = inverted_intervals(differences, shares, critical, clear)
    else:
        normal = np.maximum(critical, ndtri(1 - level / 2))
        within = np.minimum(normal, observed - 2 * ROUNDING)
        beyond = np.where(clear, within, normal)
        interval = score_intervals(differences / unit, shares, beyond, clear) * unit
    back = np.argsort(order)
    return FamilyTests(totals[back], p[back], interval[back], critical[back])


def flipped_totals(differences: Floats, draws: int = DRAWS) -> Floats:
    """(M, B) sums of differences (G, M) under drawn signs; the first are observed."""
    recordings = len(differences)
    rng = np.random.default_rng(SIGNS_SEED)
    totals = [differences.sum(axis=0)[:, None]]
    if recordings > MOST_FLIPPED:
        values, vectors = np.linalg.eigh(differences.T @ differences)
        spread = vectors * np.sqrt(np.maximum(values, 0))
        totals.append(spread @ rng.normal(size=(len(spread), draws)))
        return np.concatenate(totals, axis=1)
    for _ in range(0, draws, CHUNK):
        drawn = rng.integers(0, 2, (recordings, CHUNK), dtype=np.int8)
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


def critical_values(
    largest: Floats,
    observed: Floats,
    p: Floats,
    level: float,
) -> Floats:
    """(M,) standardised sums beyond which a difference is significant.

    Few recordings have few different sums. The critical value is halfway between the
    last one that is not significant and the next, if there is one. The largest
    difference that is not rejected stops the procedure. p may be exact, while critical
    values come from drawn signs: they are moved to agree with the verdict.

    largest   (M, B) from `largest_statistics`
    observed  (M,) standardised sums
    """
    below = np.quantile(largest, 1 - level, axis=1, method="higher", keepdims=True)
    beyond_it = np.where(largest > below + ROUNDING, largest, np.inf).min(axis=1)
    above = np.where(np.isfinite(beyond_it), beyond_it, below[:, 0])
    critical = (below[:, 0] + above) / 2
    stop = critical[p >= level].max(initial=0)
    within = np.minimum(critical, observed - 2 * ROUNDING)
    beyond = np.maximum(stop, observed)
    return np.where(p < level, within, beyond)


def inverted_intervals(
    differences: Floats,
    shares: Floats,
    critical: Floats,
    clear: NDArray[np.bool_],
) -> Floats:
    """(M, 2) intervals that hold every d that is not rejected: (total - d)^2 <=
    critical^2 sum((difference - d share)^2).

    With few or very unequal recordings an interval may have only one end, or none.
    """
    totals = differences.sum(axis=0)
    scale = np.maximum(np.linalg.norm(differences, axis=0), ROUNDING)
    squared = (critical + ROUNDING) ** 2
    curvature = 1 - squared * (shares @ shares)
    bounded = (curvature > 0) & (len(shares) >= FEWEST_RECORDINGS)
    with np.errstate(all="ignore"):
        centre = (totals - squared * (shares @ differences)) / curvature
        product = (totals**2 - squared * scale**2) / curvature
        reach = centre**2 - product
        positive = np.maximum(reach, 0)
        reach = np.sqrt(np.where(bounded, positive, reach))
    first = centre - reach
    last = centre + reach
    lowest = np.where(clear & (totals >= last), last, -np.inf)
    highest = np.where(clear & (totals <= first), first, np.inf)
    low = np.where(bounded, first, lowest)
    high = np.where(bounded, last, highest)
    return np.stack([low, high], axis=1)


def score_intervals(
    differences: Floats,
    shares: Floats,
    critical: Floats,
    clear: NDArray[np.bool_],
) -> Floats:
    """(M, 2) intervals that hold every d in [-1, 1] that is not rejected: (total - d)^2
    <= critical^2 variance(d). A recording's difference is at most its share.

    variance(d) is the sum((difference - d share)^2) of `inverted_intervals`, and what
    further recordings that must differ if d is true add. Gains and losses that are
    rare, counted as Poisson variables, are most likely to have a sum s with s^2 - s
    sum(|difference|) = d (d - total). The clips of a further recording change together
    as far as in those observed and in one more, whose clips change all.
    """
    totals = differences.sum(axis=0)
    size = np.abs(differences)
    observed = size.sum(axis=0)
    differing = size > ROUNDING * shares[:, None]
    changes = (size / shares[:, None]).sum(axis=0)
    added = (changes + 1) / (differing.sum(axis=0) + 1)
    squares = np.square(differences).sum(axis=0)
    products = shares @ differences
    effective = shares @ shares

    def rejected(d: Floats) -> NDArray[np.bool_]:
        apart = d * (d - totals)
        root = np.sqrt(np.maximum(observed**2 + 4 * apart, 0))
        likeliest = (observed + root) / 2
        further = added * (likeliest - observed)
        more = np.maximum(further - 2 * apart, 0)
        of_shares = d**2 * effective
        variance = squares - 2 * d * products + of_shares + effective * more
        limit = (critical + ROUNDING) ** 2 * variance
        return (totals - d) ** 2 > limit + ROUNDING**2

    ends = []
    for side in (-1.0, 1.0):
        # Zero is rejected exactly if the verdict is clear.
        away = side * totals > 0
        inside = np.where(clear | away, totals, 0.0)
        outside = np.where(clear & ~away, 0.0, side)
        unbounded = ~rejected(outside) | (len(shares) < FEWEST_RECORDINGS)
        for _ in range(SCORE_BISECTIONS):
            middle = (inside + outside) / 2
            beyond = rejected(middle)
            outside = np.where(beyond, middle, outside)
            inside = np.where(beyond, inside, middle)
        ends.append(np.where(unbounded, side * np.inf, inside))
    return np.stack(ends, axis=1)


def exact_p(differences: Floats) -> float:
    """The share of sign patterns of whole numbers (G,) whose sum is at least as far
    from zero as observed.

    The Fourier transform of the distribution of a sum of independent +d or -d is the
    product of cos(d t).
    """
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    total = int(sizes @ counts)
    sums = np.fft.ifftshift(np.arange(-total, total + 1))  # 0, 1, …, -1
    transform = np.ones(len(sums))
    for size, count in zip(sizes, counts):
        steps = size * sums % len(sums)
        angles = 2 * np.pi / len(sums) * steps
        transform *= np.cos(angles) ** count
    chances = np.fft.fft(transform).real / len(sums)
    as_far = np.abs(sums) >= abs(differences.sum())
    p = chances[as_far].sum()
    # two patterns at least are as far: the observed one and its mirror image
    least = min(1.0, 2.0 ** (1 - np.count_nonzero(differences)))
    return float(np.clip(p, least, 1))


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


def detectable(
    lead: Floats, shares: Floats, level: float, clips: int | None = None
) -> tuple[float, float]:
    """The smallest true difference between two runs that is found with POWER; the
    multiple of the recordings that the observed one needs.

    lead    (G,) of the better run, which sums to the observed difference
    level   p below which a difference is clear. The next run is tested last and alone,
            as runs that are worse are removed first
    clips   their number. In another difference, more or fewer clips are right by the
            better run alone, as many as observed by the other run alone. None for tags,
            whose error stays as observed

    The difference is NaN with fewer recordings than FEWEST_FOR_POWER: Student's t, from
    which the power is computed, then promises more than sign flips keep. The multiple
    is 0 if nothing was observed.
    """
    observed = abs(float(lead.sum()))
    error = float(standard_error(lead, shares))
    multiple = 0.0
    if observed > ROUNDING:
        needed = ndtri(POWER) - ndtri(level / 2)  # in standard errors
        multiple = (needed * error / observed) ** 2
    if len(lead) < FEWEST_FOR_POWER:
        return np.nan, multiple
    degrees = len(lead) - 1
    quantile = float(stdtrit(degrees, 1 - level / 2) + stdtrit(degrees, POWER))
    if clips is None:
        return quantile * error, multiple
    # twice the share of clips that the other run alone has right
    opposite = max(clips * error**2 - observed + observed**2, 0.0)
    # the d for which d = quantile * sqrt((d + opposite - d^2) / clips)
    curvature = clips / quantile**2 + 1
    root = float(np.sqrt(1 + 4 * curvature * opposite))
    return (1 + root) / (2 * curvature), multiple
