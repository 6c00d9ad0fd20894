"""How sure a score is, and a difference between runs: intervals by a bootstrap of
source recordings, one test, sign flips of source recordings. For the families of tests,
their levels and simulations see docs/explanation/statistics.md.

**Intervals of accuracies.** A replicate draws as many recordings as there are, with
replacement, and keeps all clips of each (a cluster bootstrap; Field and Welsh 2007).
Its standard error gives an effective number of clips, p (1 - p) / error², for which
Wilson's interval is computed (Wilson 1927; Korn and Graubard 1998), with a quantile of
Student's t. Its degrees of freedom are the effective number of recordings, (Σn)² / Σn²
for recordings of n clips, minus one: three recordings of 60 clips and sixty of one clip
count as about five. A mean over classes varies at least as much as its classes would
if each had one more clip that is right and one that is wrong (Agresti and Coull 1998):
a class of five clips that are all right is not known to be easy.

**The test** is Fisher's randomisation test. It draws the signs of all recordings'
differences many times and counts how often their sum is at least as far from zero as
the observed one. A family is tested by its largest standardised difference, under signs
drawn for whole recordings, so that runs that resemble each other cost little.

**The interval of a difference** holds every value d that is not rejected: the test is
repeated with d times a recording's share of the clips taken from its difference.

**The variance of training.** The models of cross-validation share their training clips,
so that their scores vary more than the clips of one test do. The variance between
recordings counts `variance` times in the scale of the observed sum. If all recordings
differ alike, there is none between them, and few recordings are enough.

Conventions: G recordings; M differences, or columns (runs, classes); B replicates, or
patterns of signs. A recording's difference is the sum over its clips, weighted as in
the mean that is tested. For tags it is a difference of jackknife values.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.quantities import counted, is_or_are
from featurestack.comparison.metrics import Floats, Labels

# enough for their variance: between seeds, interval ends differ by under 0.1 points
REPLICATES = 2_000
CONFIDENCE = 0.95
# for a verdict: with G recordings p of sign flips is at least 2^(1 - G), which is below
# 0.025, the level of the best run against the others, from 7 on
FEWEST_RECORDINGS = 7

# The variance of a cross-validated score, over that of one test of one model: for five
# folds 1 + 5/4 (Nadeau and Bengio 2003). For the test against chance, and the interval
# of features that are chosen inside the folds.
TRAINING_VARIANCE = 2.25
# The same of a difference between two feature sets, whose models share the clips that
# train them, by whether models are exact (ridge, logistic regression); with few
# recordings it is at least 1 + FEW / recordings. `bench.statements STATEMENT=sets` says
# how often verdicts are false with these, STATEMENT=factors with others.
FACTORS = {True: 1.5, False: 2.0}
FEW = 12
# If exact models were cross-validated on several drawings of the folds, the variance
# between drawings counts so often, instead of a factor, and at least LEAST of that
# between recordings.
REPEATED, LEAST = 2.0, 0.25
# for two models, which are tested at twice the level
PAIR_FACTOR, PAIR_REPEATED = 0.25, 1.75


def difference_variance(
    recordings: int, *, exact: bool = True, pair: bool = False
) -> float:
    """How often the variance between recordings counts in a difference between models
    that were cross-validated once.

    exact  whether both models have one solution, as ridge
    pair   whether they are the only two, which are tested at LEVEL
    """
    return max(FACTORS[exact] + PAIR_FACTOR * pair, 1 + FEW / recordings)


def few_groups(number: int, noun: str = "recording") -> str:
    """Why so few recordings (speakers, sites) have no verdict; '' if they are enough.

    >>> few_groups(2, "speaker")
    '2 speakers are too few for a verdict, which needs 7'
    """
    if number >= FEWEST_RECORDINGS:
        return ""
    too_few = f"{counted(number, noun)} {is_or_are(number)} too few for a verdict"
    return f"{too_few}, which needs {FEWEST_RECORDINGS}"


# ---- intervals


def accuracy_interval(
    correct: Floats,
    groups: NDArray[np.generic],
    weights: Floats,
    spread: Floats | float = 1.0,
    labels: Labels | None = None,
) -> Floats:
    """Intervals (M, 2) of the weighted means of `correct` (N, M), values from 0 to 1.

    groups   (N,) the clips' recordings
    weights  (N,) or (N, M)
    spread   (M,) the variance of each score, over the variance of clips: it divides the
             effective number of clips, unless all recordings agree
    labels   (N, K) the clips' classes, each with a clip, if the weighted mean is that
             of their recalls
    """
    if weights.ndim == 1:
        weights = weights[:, None]
    weights = np.broadcast_to(weights, correct.shape)
    sums = recording_sums(correct * weights, groups)
    totals = recording_sums(weights, groups)
    order = np.lexsort((sums, totals), axis=0)  # no name decides what is drawn
    sums = np.take_along_axis(sums, order, axis=0)
    totals = np.take_along_axis(totals, order, axis=0)
    mean = sums.sum(axis=0) / totals.sum(axis=0)
    drawn = drawn_recordings(len(sums))
    hits, clips = drawn @ sums, drawn @ totals
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nanvar(hits / clips, axis=0)
    spread = spread_of(variance, spread)
    effective = effective_recordings(totals)
    shrunken = mean
    if labels is not None:
        sizes = clips_of_classes(correct, labels, groups)
        recalls = labels.T @ correct / labels.sum(axis=0)[:, None]
        shrunken, least = mean_of_classes(recalls, sizes)
        variance = np.maximum(variance, least)
    return wilson_interval(mean, variance, effective, len(correct), spread, shrunken)


def spread_of(variance: Floats, spread: Floats | float) -> Floats:
    """(M,) the spread of scores with this variance between recordings (M,): as in the
    test, the variance of training multiplies it, and none is known if all agree.
    """
    return np.where(variance > 0, spread, 1.0)


def mean_of_classes(scores: Floats, clips: Floats) -> tuple[Floats, Floats]:
    """Means (M,) of the classes' scores (K, M) of so many clips (K, M), and their least
    variance. A class whose few clips are all right has no variance in a bootstrap, so
    each class counts one more clip that is right and one that is wrong.
    """
    shrunken = (scores * clips + 1) / (clips + 2)
    variance = (shrunken * (1 - shrunken) / clips).sum(axis=0)
    return shrunken.mean(axis=0), variance / len(scores) ** 2


def clips_of_classes(
    correct: Floats, labels: Labels, groups: NDArray[np.generic]
) -> Floats:
    """(K, M) as how many independent clips the clips of each class count: fewer if the
    clips of a recording are right or wrong together in all classes, but as many as the
    class has recordings at least.
    """
    totals = recording_sums(labels.astype(float), groups)  # (G, K)
    sizes = totals.sum(axis=0)
    recordings = effective_recordings(totals)
    among = np.maximum((totals > 0).sum(axis=0), 2)
    together, alone = np.zeros((2, correct.shape[1]))
    for of_class, size, count in zip(labels.T, sizes, among):
        hits = correct[of_class]
        recall = hits.mean(axis=0)
        sums = recording_sums(hits - recall, groups[of_class])
        together += np.square(sums).sum(axis=0) * count / (count - 1)
        alone += size * recall * (1 - recall)
    with np.errstate(divide="ignore", invalid="ignore"):
        # if every clip is right, nothing is known of how they vary together
        common = np.where(alone > 0, np.maximum(together / alone, 1), np.inf)
    return np.maximum(sizes[:, None] / common, recordings[:, None])


@lru_cache(maxsize=1)  # a report asks for each of its runs
def drawn_recordings(recordings: int) -> Floats:
    """(B, G) how often each recording is drawn, the same in every call."""
    equal = np.full(recordings, 1 / recordings)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(recordings, equal, REPLICATES).astype(float)
    drawn.flags.writeable = False
    return drawn


def wilson_interval(
    mean: Floats,
    variance: Floats,
    effective: Floats,
    clips: int,
    spread: Floats | float = 1.0,
    shrunken: Floats | None = None,
) -> Floats:
    """Intervals (M, 2) of means (M,) from the variance (M,) of their replicates.

    effective  (M,) effective numbers of recordings; an interval of one is NaN
    clips      upper limit of the effective number of clips
    spread     as in `accuracy_interval`
    shrunken   (M,) means that give the effective number of clips; by default `mean`
    """
    # loading it takes a sixth of the time of `make features` with nothing to do
    from scipy.special import stdtrit

    share = mean if shrunken is None else shrunken
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = variance * effective / (effective - 1)
        number = share * (1 - share) / variance  # effective number of independent clips
        countable = (number > 0) & np.isfinite(number)
        number = np.where(countable, np.minimum(number, clips), effective)
        quantile = stdtrit(effective - 1, (1 + CONFIDENCE) / 2)
        return wilson_ends(mean, number / spread, quantile)


def wilson_ends(
    mean: Floats, number: Floats | float, quantile: Floats | float
) -> Floats:
    """Wilson's intervals (M, 2) of means (M,) over so many independent clips."""
    squared = quantile**2 / number
    centre = (mean + squared / 2) / (1 + squared)
    spread = mean * (1 - mean) + squared / 4
    reach = np.sqrt(squared * spread) / (1 + squared)
    return np.clip(np.stack([centre - reach, centre + reach], axis=1), 0, 1)


def effective_recordings(totals: Floats) -> Floats:
    """(Σn)² / Σn² over the recordings' numbers of clips (G, M)."""
    total = totals.sum(axis=0)
    squares = np.square(totals).sum(axis=0)
    return np.square(total) / squares


def recording_sums(values: Floats, groups: NDArray[np.generic]) -> Floats:
    """Sums (G, M) of `values` (N, M) by recording, sorted by name."""
    names, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    return sums


# ---- the test

LEVEL = 0.05  # rate at which a report may claim a difference falsely
FAMILY_LEVEL = LEVEL / 2  # for the best run against the others, and for all ablations


def interval_name(level: float) -> str:
    """The interval of a difference, which the test at this level makes, in words."""
    return f"{100 * (1 - level):g} % interval"


DIFFERENCE_INTERVAL = interval_name(FAMILY_LEVEL)
DRAWS = 10_000  # patterns of signs
SIGNS_CHUNK = 500  # patterns at a time: 40 MB for 10,000 recordings
SIGNS_SEED = 0  # the same signs in every table and every report
ROUNDING = 1e-9  # standardised sums closer than this are equal


def sign_flip_tests(
    differences: Floats,
    shares: Floats,
    level: float,
    *,
    selected: bool = False,
    draws: int = DRAWS,
    unit: float | None = None,
    training: Floats | float = 0.0,
) -> Floats:
    """Test differences (G, M) of recordings that have `shares` (G,) of the mean, at a
    level for the family.

    Returns (M, 4): the sum of each difference, both ends of its interval, as shares of
    `unit`, and p, corrected for the family. Too few or too unequal recordings have no
    interval, NaN.

    selected  whether the differences are those between the best of several runs and
              each other run. The best was selected by the very scores that are tested,
              so its lead is compared with the largest difference between any two runs
              that are still in question. Clearly worse runs are removed, the worst
              first (model confidence set of Hansen, Lunde and Nason 2011; the range is
              the statistic).
    unit      the largest possible sum of differences; None if there is none, as for log
              probabilities
    training  (M,) the variance of the sums by training, which no test of clips sees
    """
    from scipy.special import ndtri

    scale = np.maximum(np.linalg.norm(differences, axis=0), ROUNDING)
    standardised = np.abs(differences.sum(axis=0)) / scale
    order = np.argsort(standardised, kind="stable")  # the smallest first
    differences, shares = in_order_of_content(differences[:, order], shares)
    scale = scale[order]
    totals = differences.sum(axis=0)
    training = np.broadcast_to(training, scale.shape)[order]
    observed = np.abs(totals) / np.sqrt(scale**2 + training)
    flipped = flipped_totals(differences, draws)
    largest = largest_statistics(flipped, differences, scale, selected=selected)
    p = (largest >= observed[:, None] - ROUNDING).mean(axis=1)
    p = np.maximum.accumulate(p[::-1])[::-1]
    # no less than for many recordings: runs may never differ on those observed
    critical = np.quantile(largest, 1 - level, axis=1)
    critical = np.maximum(critical, ndtri(1 - level / 2))
    # the largest difference that is not rejected stops the procedure
    critical[p >= level] = critical[p >= level].max(initial=0)
    interval = inverted_intervals(
        differences, shares, critical, p < level, unit, training
    )
    back = np.argsort(order)
    sums = np.column_stack([totals, interval]) / (unit or 1)
    return np.column_stack([sums, p])[back]


def p_of_leads(
    leads: Floats, shares: Floats, variance: float = 1.0, draws: int = DRAWS
) -> Floats:
    """(R,) p of the leads (G, R) of runs over chance, corrected because there are R, in
    one step: the share of patterns of signs whose largest standardised lead is at least
    as large.

    variance  of the leads, over the variance between recordings
    """
    leads, shares = in_order_of_content(leads, shares)
    scale = np.maximum(np.linalg.norm(leads, axis=0), ROUNDING)
    largest = (flipped_totals(leads, draws) / scale[:, None]).max(axis=0)
    training = (variance - 1) * between_recordings(leads, shares)
    observed = leads.sum(axis=0) / np.sqrt(scale**2 + training)
    return np.array([(largest >= lead - ROUNDING).mean() for lead in observed])


def between_recordings(differences: Floats, shares: Floats) -> Floats:
    """(M,) sums of squares of the differences (G, M) about their shares of the sum."""
    expected = np.multiply.outer(shares, differences.sum(axis=0))
    return np.square(differences - expected).sum(axis=0)


def variance_of_training(
    differences: Floats, shares: Floats, *, exact: bool, level: float = FAMILY_LEVEL
) -> Floats:
    """(M,) the variance of sums of differences by training, of S repeats of
    cross-validation (S, G, M). Several of exact models show how much the recordings'
    differences vary between other trainings; else it is a share of the variance between
    recordings.

    exact  whether all models are
    level  of the test
    """
    between = between_recordings(differences.mean(axis=0), shares)
    pair = level > FAMILY_LEVEL
    if exact and len(differences) > 1:
        times = REPEATED * (PAIR_REPEATED if pair else 1)
        repeats = differences.var(axis=0, ddof=1).sum(axis=0)
        return np.maximum(times * repeats, max(LEAST, FEW / len(shares)) * between)
    return (difference_variance(len(shares), exact=exact, pair=pair) - 1) * between


def in_order_of_content(differences: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Both with the recordings in an order that no name decides. The sizes come first:
    a test by sign flips must not order recordings by their signs.
    """
    order = np.lexsort((shares, *differences.T, *np.abs(differences).T))
    return differences[order], shares[order]


def flipped_totals(differences: Floats, draws: int = DRAWS) -> Floats:
    """(M, B) sums of differences (G, M) under drawn signs, or under all patterns if
    these are no more; the first are observed.
    """
    recordings = len(differences)
    if 2**recordings <= draws:  # all patterns
        bits = np.arange(2**recordings) >> np.arange(recordings)[:, None] & 1
        return differences.T @ (1.0 - 2 * bits)
    rng = np.random.default_rng(SIGNS_SEED)
    totals = [differences.sum(axis=0)[:, None]]
    for _ in range(0, draws, SIGNS_CHUNK):
        drawn = rng.integers(0, 2, (recordings, SIGNS_CHUNK), dtype=np.int8)
        signs = 2.0 * drawn - 1
        totals.append(differences.T @ signs)
    return np.concatenate(totals, axis=1)


def largest_statistics(
    flipped: Floats, differences: Floats, scale: Floats, *, selected: bool
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
    training: Floats,
) -> Floats:
    """(M, 2) intervals that hold every d that is not rejected: (total - d)^2 <=
    critical^2 (sum((difference - d share)^2) + training + more).

    `more` are two more recordings whose clips change together as far as in those
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
        sums = np.square(differences).sum(axis=0) + training + more
        reach = np.sqrt(centre**2 - (totals**2 - squared * sums) / curvature)
        low, high = centre - reach, centre + reach
    # Zero is left out exactly if the verdict is clear.
    least = ROUNDING * (unit or 1)
    low = np.where(clear & (totals > 0), np.maximum(low, least), low)
    high = np.where(clear & (totals < 0), np.minimum(high, -least), high)
    low = np.where(clear, low, np.minimum(low, 0))
    high = np.where(clear, high, np.maximum(high, 0))
    ends = np.stack([low, high], axis=1)
    return np.where(bounded[:, None], ends, np.nan)


def gain_tests(
    gains: Floats,
    groups: NDArray[np.generic],
    unit: float | None = 1.0,
    *,
    weights: Floats | None = None,
    selected: bool = False,
    variance: float | None = None,
) -> pd.DataFrame:
    """Mean, low, high, p and significant for each column of `gains` (R, N, F), which
    exact models differ by that were cross-validated R times. With `variance`, it counts
    the variance between recordings; it is 1 for models that are the same.

    p and interval are corrected for all columns, and also for the selection if they are
    leads of the best of several, which was `selected` by them. With too few recordings
    there is no interval. `unit` is the largest gain of a clip, None without a limit;
    `weights` (N,) are those of the clips in the gains, by default equal.
    """
    clips = gains.shape[1]
    if weights is None:
        weights = np.ones(clips)
    shares = recording_sums(weights[:, None], groups)[:, 0] / weights.sum()
    of_drawings = np.stack([recording_sums(gain, groups) for gain in gains]) / clips
    sums = of_drawings.mean(axis=0)
    if variance is None:
        training = variance_of_training(of_drawings, shares, exact=True)
    else:
        training = (variance - 1) * between_recordings(sums, shares)
    numbers = sign_flip_tests(
        sums, shares, FAMILY_LEVEL, selected=selected, unit=unit, training=training
    )
    columns = pd.DataFrame(numbers, columns=["mean", "low", "high", "p"])
    columns[["low", "high"]] = columns[["low", "high"]].clip(-1, 1)
    columns["significant"] = columns["p"] < FAMILY_LEVEL
    return columns
