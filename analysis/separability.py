"""How well a feature separates the classes before any training, and where its clips lie.

Conventions: `values` (N, D) describes each of N clips by D numbers, here the mean and the standard
deviation over time of each row of a feature; `target` (N,) holds class numbers. All are computed on
columns standardised over the clips, so that a row in Hz and one in dB count alike.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_mutual_info_score

from train.scores import Floats, Ints

MOST_COLUMNS = (
    12  # principal components kept where a feature has more numbers a clip than this: most of the variance
)
LEADING_COLUMNS = 8  # of them for mutual information, whose time grows with columns times classes
MAP_STEPS = 500  # half of t-SNE's default: the same picture on some hundred clips, in half the time
PERPLEXITY = 30.0  # t-SNE's default; fewer where there are fewer than three times as many clips


def summary(feature: NDArray[np.floating]) -> Floats:
    """Values (N, 2 rows) of a feature (N, rows, frames): mean and standard deviation over time."""
    values = np.asarray(feature, dtype=np.float32)
    return np.concatenate([values.mean(axis=2), values.std(axis=2)], axis=1).astype(float)


def standardised(values: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; constant ones are left out; (N, 0) where all are."""
    deviation = values.std(axis=0)
    moving = deviation > 1e-9 * (1 + np.abs(values).max(axis=0, initial=0))
    return (values[:, moving] - values[:, moving].mean(axis=0)) / deviation[moving]


def compressed(values: Floats, rng: np.random.Generator) -> Floats:
    """At most MOST_COLUMNS principal components of the standardised values."""
    columns = standardised(values)
    most = min(MOST_COLUMNS, len(values) - 1, columns.shape[1])
    if not most:
        return columns
    return PCA(most, random_state=_state(rng)).fit_transform(columns)


MEASURES: dict[str, Callable[[Floats, Ints, np.random.Generator], float]] = {}


def measure(
    function: Callable[[Floats, Ints, np.random.Generator], float],
) -> Callable[[Floats, Ints, np.random.Generator], float]:
    """Register a measure of separation under its function's name; the report picks it up."""
    if function.__name__ in MEASURES:
        raise ValueError(f"measure {function.__name__!r} is registered twice")
    MEASURES[function.__name__] = function
    return function


@measure
def fisher_ratio(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """Median over columns of the variance between class means over the variance within classes."""
    columns = standardised(values)
    clips, classes = len(target), len(np.unique(target))
    if not columns.shape[1] or classes < 2 or clips <= classes:
        return 0.0
    belongs = (target[:, None] == np.unique(target)).astype(float)  # (N, K)
    means = belongs.T @ columns / belongs.sum(axis=0)[:, None]
    within = np.mean((columns - belongs @ means) ** 2, axis=0)
    # The whole variance is one; the floor keeps a feature that only takes one value a class finite.
    return float(np.median((1 - within) / np.maximum(within, 1e-6)))


@measure
def mutual_information(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """What a leading principal component tells of the class, as a share of the class's entropy."""
    columns = compressed(values, rng)[:, :LEADING_COLUMNS]
    entropy = _entropy(target)
    smallest = np.bincount(target)[np.unique(target)].min(initial=len(target))
    if not columns.shape[1] or entropy == 0 or smallest < 2:
        return 0.0
    neighbours = int(min(3, smallest - 1))
    nats = mutual_info_classif(columns, target, n_neighbors=neighbours, random_state=_state(rng))
    return float(nats.mean() / entropy)


@measure
def clustering_agreement(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """Adjusted mutual information of the classes and as many k-means clusters: 0 is chance, 1 is equal."""
    columns = compressed(values, rng)
    classes = len(np.unique(target))
    if not columns.shape[1] or classes < 2:
        return 0.0
    clusters = KMeans(min(classes, len(np.unique(columns, axis=0))), n_init=3, random_state=_state(rng))
    return float(adjusted_mutual_info_score(target, clusters.fit_predict(columns)))


def separability(values: Floats, target: Ints, rng: np.random.Generator) -> dict[str, float]:
    """Every registered measure of one feature."""
    return {name: function(values, target, rng) for name, function in MEASURES.items()}


def pca_map(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip: the first two principal components."""
    columns = standardised(values)
    kept = min(2, *columns.shape)
    places = np.zeros((len(values), 2))
    if kept:
        places[:, :kept] = PCA(kept, random_state=_state(rng)).fit_transform(columns)
    return places


def tsne_map(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip by t-SNE, begun at the PCA map; that map where clips are few."""
    columns = compressed(values, rng)
    if len(values) < 5 or not columns.shape[1]:
        return pca_map(values, rng)
    start = pca_map(values, rng)
    start *= 1e-4 / max(start[:, 0].std(), 1e-12)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init=start, max_iter=MAP_STEPS, random_state=_state(rng))
    return tsne.fit_transform(columns).astype(float)


def _entropy(target: Ints) -> float:
    shares = np.bincount(target) / len(target)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _state(rng: np.random.Generator) -> int:
    """scikit-learn's seed, drawn from the generator."""
    return int(rng.integers(2**31))
