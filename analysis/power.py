"""The smallest difference that the test of `analysis.significance` finds."""

from itertools import product

import numpy as np
from scipy.special import expit, logit, ndtri

from featurestack.analysis.ranking import Ranking
from featurestack.analysis.significance import (
    MOST_FLIPPED,
    POWER,
    ROUNDING,
    SIGNS_SEED,
    standard_error,
)
from featurestack.scores.bootstrap import recording_sums
from featurestack.scores.metrics import Floats

POWER_DRAWS = 300  # simulated differences: the power is known to 2 %
EVERY_PATTERN = 10  # recordings up to which the power is of every pattern of signs
MOST_ERRORS = 20  # a difference of so many standard deviations has to be found
BISECTIONS = 10
MOST_VALUES = 4_000_000  # recordings by steps of LOG_ODDS at a time: 32 MB
# log factors of the odds of a right answer, by which a run is made worse or better
LOG_ODDS = np.linspace(-12, 12, 481)


def detectable(
    lead: Floats,
    shares: Floats,
    level: float,
    counts: tuple[Floats, Floats] | None = None,
) -> tuple[float, float]:
    """The smallest true difference between two runs that is found with POWER; the
    multiple of the recordings that the observed one needs.

    lead    (G,) of the better run, which sums to the observed difference
    level   p below which a difference is clear. The next run is tested last and alone,
            as runs that are worse are removed first
    counts  (G,) clips of each recording, and (G,) how many of them the other run has
            right; None for tags, whose error stays as observed, so that their
            difference is a little too small

    The difference is infinite if none could be found, and the multiple 0 if nothing was
    observed.
    """
    observed = abs(float(lead.sum()))
    error = float(standard_error(lead, shares))
    multiple = 0.0
    if observed > ROUNDING:
        needed = ndtri(POWER) - ndtri(level / 2)  # in standard errors
        multiple = (needed * error / observed) ** 2
    quantile = power_quantile(shares, level)
    if not np.isfinite(quantile):
        return np.inf, multiple
    if counts is None:
        return quantile * error, multiple
    totals, errors = larger_differences(lead, shares, *counts)
    surplus = totals - quantile * errors
    found = (surplus >= 0) & (totals > 0)
    if not found.any():
        return np.inf, multiple
    first = found.argmax()
    steps = slice(max(first - 1, 0), first + 1)
    return float(np.interp(0, surplus[steps], totals[steps])), multiple


def larger_differences(
    lead: Floats, shares: Floats, clips: Floats, correct: Floats
) -> tuple[Floats, Floats]:
    """The difference and its standard error if the other run is made worse (or better)
    in steps of LOG_ODDS; the arguments are those of `detectable`.

    Recordings differ more in a larger difference. The odds of a right answer change by
    one factor in all recordings, and right answers are lost, or wrong ones mended, at
    random.
    """
    parts = np.array_split(LOG_ODDS, 1 + LOG_ODDS.size * len(lead) // MOST_VALUES)
    each = [_larger_differences(odds, lead, shares, clips, correct) for odds in parts]
    totals, errors = np.concatenate(each, axis=1)
    return totals, errors


def _larger_differences(
    odds: Floats, lead: Floats, shares: Floats, clips: Floats, correct: Floats
) -> Floats:
    """(2, steps) totals and errors, for some of LOG_ODDS."""
    accuracy = (correct + 0.5) / (clips + 1)
    changed = expit(logit(accuracy) - odds[:, None])  # (steps, G)
    lost = np.maximum(1 - changed / accuracy, 0)
    mended = np.maximum(1 - (1 - changed) / (1 - accuracy), 0)
    wrong = clips - correct
    fewer = lost * correct - mended * wrong
    variance_of_lost = lost * (1 - lost) * correct
    variance = variance_of_lost + mended * (1 - mended) * wrong
    leads = lead + shares * fewer / clips
    between = standard_error(leads.T, shares)
    effective = 1 / float(shares @ shares)
    within = (shares**2 * variance / clips**2).sum(axis=1)
    within *= effective / (effective - 1)
    errors = np.sqrt(between**2 + within)
    return np.stack([leads.sum(axis=1), errors])


def power_quantile(shares: Floats, level: float) -> float:
    """A difference that is found with POWER, in standard errors; infinite if none is.

    Normal differences that deviate in proportion to the recordings' shares are tested
    by sign flips, so that few and uneven recordings count as they do in the test.
    """
    recordings = len(shares)
    if recordings < 2:
        return np.inf
    if recordings > MOST_FLIPPED:
        return float(ndtri(POWER) - ndtri(level / 2))
    shares = np.sort(shares)  # no name decides the noise
    rng = np.random.default_rng(SIGNS_SEED)
    noise = rng.normal(size=(POWER_DRAWS, recordings)) * shares
    if recordings <= EVERY_PATTERN:
        every_pattern = product((1.0, -1.0), repeat=recordings)
        signs = np.array(list(every_pattern))
    else:
        drawn = rng.integers(0, 2, (2**EVERY_PATTERN, recordings))
        signs = 2.0 * drawn - 1
        signs[0] = 1  # the observed pattern counts too
    flipped = noise @ signs.T  # (draws, patterns)
    steady = signs @ shares  # the same for a difference of 1 without noise

    def power(difference: float) -> float:
        sums = np.abs(flipped + difference * steady)
        observed = sums[:, :1]
        p = (sums >= observed - ROUNDING).mean(axis=1)
        return float((p < level).mean())

    deviation = float(np.linalg.norm(shares))
    most = MOST_ERRORS * deviation
    if power(most) < POWER:
        return np.inf
    least = 0.0
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        if power(middle) < POWER:
            least = middle
        else:
            most = middle
    error = float(standard_error(noise.T, shares).mean())
    return most / error


def power_of_second(main: Ranking) -> tuple[float, float]:
    """`detectable` of the second run's difference to the best."""
    lead = -main.differences[:, 0] / main.unit
    counts = None
    if not main.metric.pooled:
        each = np.ones((len(main.worth), 1))
        clips = recording_sums(each, main.best.groups)[:, 0]
        accuracy = main.by_recording[:, 1] / (main.shares * main.unit)
        counts = clips, clips * accuracy
    return detectable(lead, main.shares, main.level, counts)
