"""Intervals of accuracies by resampling source recordings.

Clips cut from one recording sound alike, so they are drawn together: a replicate draws
as many recordings as there are, with replacement, and keeps all clips of each (a
cluster bootstrap; Field and Welsh 2007). The bootstrap's standard error gives an
effective number of clips, p (1 - p) / error². Wilson's interval is computed for that
number (Wilson 1927; Korn and Graubard 1998), with a quantile of Student's t. Its
degrees of freedom are the effective number of recordings, (Σn)² / Σn² for recordings of
n clips, less one: three recordings of 60 clips and sixty of one clip count as about
five. Coverage stays near 95 % down to five recordings, and a perfect score has an
interval.

Conventions: N clips, G recordings, M columns (runs, or classes), B replicates.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from featurestack.scores.metrics import Floats

# enough for their variance: between seeds, interval ends differ by under 0.1 points
REPLICATES = 2_000
CHUNK_DRAWS = 2_000_000  # recordings drawn at a time: 16 MB of counts
CONFIDENCE = 0.95
# recordings for a verdict: with G of them the p of signs is at least 2^(1 - G), from 7
# on below 0.025, the level of the best run against the others
FEWEST_RECORDINGS = 7
# The variance of the score of features chosen inside the folds, over that of one run.
# The clips that test one fold train, and choose, for the others, so that the score
# scatters more than clips alone would: for five folds by 1 + 5/4 in variance (Nadeau
# and Bengio 2003). bench.statements counts how often the interval holds the truth.
CHOICE_VARIANCE = 2.25


def accuracy_interval(
    correct: Floats,
    groups: NDArray[np.generic],
    weights: Floats,
    spread: Floats | float = 1.0,
) -> Floats:
    """Intervals (M, 2) of the weighted means of `correct` (N, M), values from 0 to 1.

    groups   (N,) the clips' recordings
    weights  (N,) or (N, M)
    spread   (M,) the variance of each score, over that of clips alone: it divides the
             effective number of clips
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
    both = np.concatenate([sums, totals], axis=1)
    replicates = [drawn @ both for drawn in drawn_recordings(len(sums))]
    hits, clips = np.split(np.concatenate(replicates), 2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nanvar(hits / clips, axis=0)
    effective = effective_recordings(totals)
    return wilson_interval(mean, variance, effective, len(correct), spread)


def drawn_recordings(recordings: int) -> Iterator[Floats]:
    """(B, G) how often each recording is drawn, in parts, the same in every call."""
    if recordings * REPLICATES <= CHUNK_DRAWS:
        yield _all_draws(recordings)
    else:
        yield from _draws(recordings)


@lru_cache(maxsize=2)  # a report asks for each of its runs
def _all_draws(recordings: int) -> Floats:
    (drawn,) = _draws(recordings)
    drawn.flags.writeable = False
    return drawn


def _draws(recordings: int) -> Iterator[Floats]:
    chunk = max(1, CHUNK_DRAWS // recordings)
    rng = np.random.default_rng(0)
    equal = np.full(recordings, 1 / recordings)
    for start in range(0, REPLICATES, chunk):
        drawn = rng.multinomial(recordings, equal, min(chunk, REPLICATES - start))
        yield drawn.astype(float)


def wilson_interval(
    mean: Floats,
    variance: Floats,
    effective: Floats,
    clips: int,
    spread: Floats | float = 1.0,
) -> Floats:
    """Intervals (M, 2) of means (M,) from the variance (M,) of their replicates.

    effective  (M,) effective numbers of recordings; NaN comes from one
    clips      upper limit of the effective number of clips
    spread     as in `accuracy_interval`
    """
    # loading it takes a sixth of the time of `make features` with nothing to do
    from scipy.special import stdtrit

    with np.errstate(divide="ignore", invalid="ignore"):
        variance = variance * effective / (effective - 1)
        number = mean * (1 - mean) / variance  # effective number of independent clips
        known = (number > 0) & np.isfinite(number)
        number = np.where(known, np.minimum(number, clips), effective)
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
    return np.stack([centre - reach, centre + reach], axis=1)


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
