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
from scipy.stats import norm

from train.scores import Floats

REPLICATES = 10_000  # an interval's ends then move by less than a tenth of a point from seed to seed
CHUNK_DRAWS = 2_000_000  # recordings drawn at a time: 16 MB of counts
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
    names, place = np.unique(groups, return_inverse=True)
    weights = np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, values.shape)
    sums = group_sums(values * weights, place, len(names))
    totals = group_sums(weights, place, len(names))
    both = np.concatenate([sums, totals], axis=1)
    drawn = np.concatenate([counts @ both for counts in _draws(len(names), replicates, rng)])
    numerator, denominator = np.split(drawn, 2, axis=1)
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > ROUNDING
    )


def group_sums(values: Floats, place: NDArray[np.intp], groups: int) -> Floats:
    """Sums (G, M) of the rows of `values` (N, M) that share a place."""
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def _draws(groups: int, replicates: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each recording was drawn, (b, G) at a time, B rows in all."""
    chunk = max(1, CHUNK_DRAWS // groups)
    sizes = [min(chunk, replicates - start) for start in range(0, replicates, chunk)]
    return (_counts(size, groups, rng) for size in sizes)


def _counts(size: int, groups: int, rng: np.random.Generator) -> Floats:
    picked = rng.integers(0, groups, size=(size, groups), dtype=np.int32)
    picked += np.arange(size, dtype=np.int32)[:, None] * groups
    return np.bincount(picked.ravel(), minlength=size * groups).reshape(size, groups).astype(float)


def interval(replicates: Floats, level: float = 0.95) -> Floats:
    """The percentile interval (M, 2) of replicates (B, M); NaN replicates do not count."""
    tail = (1 - level) / 2
    quantiles = np.nanquantile if np.isnan(replicates).any() else np.quantile
    return quantiles(replicates, [tail, 1 - tail], axis=0).T


def p_value(differences: Floats, groups: int) -> Floats:
    """Two-sided p-values (M,) that a difference is zero, from its replicates (B, M) over G recordings.

    Twice the share of replicates on the far side of zero, which agrees with whether the percentile
    interval covers zero. Where no replicate is, the tail of the normal distribution of the same mean and
    deviation, so that a correction for many pairs has small enough p-values without many more replicates.
    Never below 2 / 2^G, the least that a sign test of G recordings can say.
    """
    below = (differences <= ROUNDING).sum(axis=0)
    above = (differences >= -ROUNDING).sum(axis=0)
    beyond = np.minimum(below, above)
    counted = 2 * (beyond + 1) / (len(differences) + 1)
    deviation = np.maximum(differences.std(axis=0), ROUNDING)
    tail = 2 * norm.sf(np.abs(differences.mean(axis=0)) / deviation)
    p = np.where(beyond > 0, counted, np.minimum(counted, tail))
    return np.clip(p, 2.0 ** (1 - groups), 1)


def fold_weights(folds: NDArray[np.intp]) -> Floats:
    """Weights (N,) that sum to one and under which a mean over clips is the mean over folds."""
    _, place, sizes = np.unique(folds, return_inverse=True, return_counts=True)
    return 1 / (len(sizes) * sizes[place])
