"""Intervals and differences by resampling source recordings.

Clips cut from one recording sound alike, so they are drawn together: a replicate draws as many
recordings as there are, with replacement, and keeps all clips of each (a cluster bootstrap; Field and
Welsh 2007). Values are scored per clip, so a replicate is one product of how often each recording was
drawn, (B, G), with the sums over each recording, (G, M): thirty runs cost as much as one.

Conventions: N clips, G recordings, M columns (runs, or classes), B replicates.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from results.scores import Floats, Ints

REPLICATES = 10_000  # an interval's ends then move by less than a tenth of a point from seed to seed
CHUNK_DRAWS = 2_000_000  # recordings drawn at a time: 16 MB of counts
FEWEST_RECORDINGS = 5  # of fewer there is no interval and no verdict: five cannot differ at p < 0.05 either
ROUNDING = 1e-12  # differences of means smaller than this are equal numbers


def resampled_means(
    values: Floats,
    groups: NDArray[np.generic],
    *,
    weights: Floats,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Floats:
    """Weighted means (B, M) of `values` (N, M) over replicates of the recordings in `groups` (N,).

    `weights` are (N,) or (N, M); a column none of whose weight was drawn is NaN in that replicate.
    """
    weights = np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, values.shape)
    both = np.concatenate([recording_sums(values * weights, groups), recording_sums(weights, groups)], axis=1)
    drawn = np.concatenate([counts @ both for counts in _draws(len(both), replicates, rng)])
    numerator, denominator = np.split(drawn, 2, axis=1)
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > ROUNDING
    )


def recording_sums(values: Floats, groups: NDArray[np.generic]) -> Floats:
    """Sums (G, M) of `values` (N, M) over the clips of each recording, in the order of their names."""
    names, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def _draws(groups: int, replicates: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each recording was drawn, (b, G) at a time, B rows in all."""
    chunk = max(1, CHUNK_DRAWS // groups)
    for start in range(0, replicates, chunk):
        size = min(chunk, replicates - start)
        picked = rng.integers(0, groups, size=(size, groups), dtype=np.int32)
        picked += np.arange(size, dtype=np.int32)[:, None] * groups
        yield np.bincount(picked.ravel(), minlength=size * groups).reshape(size, groups).astype(float)


def interval(
    replicates: Floats, recordings: int | Ints, *, lowest: float = -1.0, level: float = 0.95
) -> Floats:
    """The percentile interval (M, 2) of replicates (B, M) over so many recordings; NaN does not count.

    NaN for fewer than FEWEST_RECORDINGS. It reaches at least as far from the mean as an exact interval for
    none of the recordings (Clopper and Pearson 1934, the rule of three), so that neither a perfect score nor
    two equal runs have an interval of width zero. `lowest` is the least value: 0 of a score, -1 of a
    difference of two; 1 is the highest of both.
    """
    recordings = np.broadcast_to(np.asarray(recordings), replicates.shape[1:])
    tail = (1 - level) / 2
    gaps = np.isnan(replicates).any()
    low, high = (np.nanquantile if gaps else np.quantile)(replicates, [tail, 1 - tail], axis=0)
    mean = (np.nanmean if gaps else np.mean)(replicates, axis=0)
    reach = 1 - tail ** (1 / np.maximum(recordings, 1))
    low = np.maximum(np.minimum(low, mean - reach), lowest)
    high = np.minimum(np.maximum(high, mean + reach), 1.0)
    enough = recordings >= FEWEST_RECORDINGS
    return np.where(enough[:, None], np.stack([low, high], axis=1), np.nan)


def fold_weights(folds: NDArray[np.intp]) -> Floats:
    """Weights (N,) that sum to one and under which a mean over clips is the mean over folds."""
    _, place, sizes = np.unique(folds, return_inverse=True, return_counts=True)
    return 1 / (len(sizes) * sizes[place])
