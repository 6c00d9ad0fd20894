"""Separation of the classes by a feature before any training: the accuracy of the
nearest neighbour.

`values` (N, D) describes each of N clips by D numbers: the mean and the standard
deviation over time of each row of a feature, or, if its columns are not time, its
values averaged over neighbouring columns. `target` (N,) holds classes. The D
numbers are standardised over the clips, so that a row in Hz and one in dB count alike;
distances are computed on their leading principal `components`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from featurestack.analysis.clips import read_batches
from featurestack.features_cache import Cache
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.results.scores import Floats, Ints

COMPONENTS = 12  # principal components that distances are computed on, at most


def summarise(cache: Cache, feature: str, clips: list[str]) -> pd.DataFrame:
    """The D numbers of a feature, a row for each clip that can be read, by clip id."""
    batches = read_batches(cache, feature, clips)
    stored = cache[feature]
    means = None
    if not has_statistics(stored.frame_unit, stored.frames):
        means = column_means(stored.rows, stored.frames)
    parts = []
    for ids, values in batches:
        if means is None:
            numbers = over_time(values)
        else:
            numbers = (values @ means).reshape(len(values), -1)
        parts.append(pd.DataFrame(numbers, ids))
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts)


def standardised(values: Floats) -> Floats:
    """Columns with mean 0 and deviation 1, without constant ones."""
    deviation = values.std(axis=0)
    largest = np.abs(values).max(axis=0, initial=0)
    moving = deviation > 1e-9 * (1 + largest)
    kept = values[:, moving]
    return (kept - kept.mean(axis=0)) / deviation[moving]


def principal_components(columns: Floats) -> Floats:
    """Up to COMPONENTS principal components of (N, D), the largest first."""
    # N is small, D up to some thousand
    variance, vectors = np.linalg.eigh(columns @ columns.T)
    # the rest is rounding
    positive = (variance > 1e-9 * variance[-1:]).nonzero()[0]
    largest_first = positive[::-1]
    kept = largest_first[:COMPONENTS]
    return vectors[:, kept] * np.sqrt(variance[kept])


def neighbour_accuracy(
    components: Floats, target: NDArray[np.str_] | Ints, recording: NDArray[np.str_]
) -> float:
    """Share of the clips whose nearest clip of another recording has their class."""
    distance = squareform(pdist(components))
    distance[recording[:, None] == recording] = np.inf
    alone = np.isinf(distance).all(axis=1)
    if alone.all() or not components.shape[1]:
        return 0.0
    nearest = distance.argmin(axis=1)
    correct = target[nearest] == target
    return float(correct[~alone].mean())
