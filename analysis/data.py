"""The half of the report that needs no run, from the cache alone.

Clip counts, class means, separability of the classes by each feature, projections.

For separability `values` (N, D) describes each of N clips by D numbers, here the mean and the standard
deviation over time of each row of a feature; `target` (N,) holds class numbers. Measures and projections
are computed on columns standardised over the clips, so that a row in Hz and one in dB count alike, or on
their leading principal `components`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma

from analysis.clips import leading_feature, read_batches, sample_by_class
from analysis.figures import FigureWriter
from analysis.figures.data import POINT_COLOURS, format_plain
from commandline.terminal import counted, progress, size
from features_cache import Cache
from features_cache.index import WHOLE, failed_clips
from features_cache.table import originals
from results.scores import Floats, Ints

SUMMARISED_CLIPS = 150  # clips that the measures use: more take longer and change no bar visibly
PROJECTED_FEATURES = 2  # the features with the highest nearest-neighbour accuracy


def data_facts(cache: Cache) -> dict[str, str]:
    """The numbers of the data in a line each, empty if there is nothing to say."""
    clips = originals(cache.clips)
    used = sum(file.stat().st_size for file in cache.folder.glob("*.h5") if file.is_file())
    copies = len(cache.clips) - len(clips)
    failed = failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items())
    drawn = (cache.folder.parent / "folds.csv").exists()
    return {
        "Clips": f"{len(clips):,}" + (f" and {copies:,} altered copies" if copies else ""),
        "Classes": str(clips["label"].nunique()),
        "Clips that failed": f"{untested:,}, so {len(clips) - untested:,} are tested" if untested else "",
        "Features that failed": f"{single}; runs without it test these clips" if single else "",
        "Source recordings": f"{clips['group'].nunique():,}",
        "Folds": f"{clips['fold'].nunique()}" + ("" if drawn else ", the dataset's own"),
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz",
        "Features cached": f"{len(cache.features)}, {size(used)}",
        "Source": str(cache.settings.get("source", "")),
    }


def failures(cache: Cache) -> dict[str, set[str]]:
    """The original clips that failed, by cached feature; those under WHOLE are tested by no run.

    A clip that lacks a single feature is tested by the runs that do without it.
    """
    tested = set(originals(cache.clips)["clip_id"])
    names = (WHOLE, *cache.features)
    failed = {name: clips & tested for name, clips in failed_clips(cache.folder).items() if name in names}
    return {name: clips for name, clips in failed.items() if clips}


COMPONENTS = 12  # of a feature with more numbers a clip: most of the variance
LEADING = 8  # of them for mutual information, a mean over components
NEIGHBOURS = 3
TSNE_STEPS = 500  # half of t-SNE's default: the same projection of some hundred clips, in half the time
TSNE_RATE = 50.0  # of learning, scikit-learn's choice for so few clips
PERPLEXITY = 30.0  # t-SNE's default; fewer where there are fewer than three times as many clips


def summary_over_time(feature: NDArray[np.floating]) -> Floats:
    """Values (N, 2 rows) of a feature (N, rows, frames): mean and standard deviation over time."""
    values = np.array(feature, dtype=np.float32)
    mean = values.mean(axis=2)
    values -= mean[:, :, None]
    variance = np.einsum("nrf,nrf->nr", values, values) / values.shape[2]  # half of values.std's time
    return np.concatenate([mean, np.sqrt(variance)], axis=1).astype(float)


def standardised(values: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; constant ones are left out; (N, 0) where all are."""
    deviation = values.std(axis=0)
    moving = deviation > 1e-9 * (1 + np.abs(values).max(axis=0, initial=0))
    return (values[:, moving] - values[:, moving].mean(axis=0)) / deviation[moving]


def principal_components(columns: Floats) -> Floats:
    """(N, COMPONENTS) at most of standardised columns (N, D), that of the largest variance first."""
    variance, vectors = np.linalg.eigh(columns @ columns.T)  # N is small, D up to some thousand
    kept = (variance > 1e-9 * variance[-1:]).nonzero()[0][::-1][:COMPONENTS]  # others are rounding alone
    return vectors[:, kept] * np.sqrt(variance[kept])


def fisher_ratio(columns: Floats, target: Ints) -> float:
    """Median over standardised columns of the variance between class means over that within classes."""
    classes, number, sizes = np.unique(target, return_inverse=True, return_counts=True)
    if not columns.shape[1] or not 1 < len(classes) < len(target):
        return 0.0
    means = np.eye(len(classes))[number].T @ columns / sizes[:, None]
    within = np.mean((columns - means[number]) ** 2, axis=0)
    # The whole variance is one; the floor keeps a feature that only takes one value a class finite.
    return float(np.median((1 - within) / np.maximum(within, 1e-6)))


def mutual_information(components: Floats, target: Ints, seed: int) -> float:
    """Mutual information of a leading component and the class, as a share of the class's entropy.

    Ross's estimate (2014) from each clip's nearest neighbours of its class. scikit-learn's takes 25 times as
    long.
    """
    sizes = np.unique(target, return_counts=True)[1]
    neighbours = min(NEIGHBOURS, sizes.min() - 1)
    if not components.shape[1] or len(sizes) < 2 or neighbours < 1:
        return 0.0
    nats = []
    same = target[:, None] == target
    noise = 1e-9 * np.random.default_rng(seed).normal(size=len(target))  # or values may be equal
    for column in components.T[:LEADING]:
        distance = np.abs(np.subtract.outer(column + column.std() * noise, column + column.std() * noise))
        radius = np.sort(np.where(same, distance, np.inf), axis=1)[:, neighbours]  # the first is the clip
        inside = (distance < radius[:, None]).sum(axis=1)
        spread = np.mean(digamma(same.sum(axis=1)) + digamma(inside))
        nats.append(digamma(len(target)) + digamma(neighbours) - spread)
    shares = sizes / len(target)
    return float(np.maximum(nats, 0).mean() / -(shares * np.log(shares)).sum())


def neighbour_accuracy(components: Floats, target: Ints, recording: NDArray[np.str_]) -> float:
    """Share of the clips whose nearest clip of another source recording has their class."""
    distance = squared_distances(components)
    distance[recording[:, None] == recording] = np.inf
    alone = np.isinf(distance).all(axis=1)
    if alone.all() or not components.shape[1]:
        return 0.0
    return float((target[distance.argmin(axis=1)] == target)[~alone].mean())


def squared_distances(points: Floats) -> Floats:
    """(N, N) between points (N, D), by one product of matrices: a tenth of the differences' time."""
    lengths = (points**2).sum(axis=1)
    return np.maximum(lengths[:, None] + lengths - 2 * points @ points.T, 0)


def pca_projection(components: Floats) -> Floats:
    """Two coordinates (N, 2) of each clip: the first two principal components, 0 for what there is not."""
    return np.pad(components, ((0, 0), (0, 2)))[:, :2]


def tsne_projection(components: Floats) -> Floats:
    """Two coordinates (N, 2) of each clip by t-SNE, begun at the PCA projection.

    Van der Maaten and Hinton 2008, by the exact gradient: scikit-learn's is for many more clips than
    SUMMARISED_CLIPS, and its import alone takes longer.
    """
    points = pca_projection(components)
    count = len(components)
    if count < 5 or not components.shape[1]:
        return points
    points = points * 1e-4 / points[:, 0].std()
    distance = squared_distances(components) / components.var(axis=0).sum()
    np.fill_diagonal(distance, np.inf)
    distance -= distance.min(axis=1, keepdims=True)
    low = np.full((count, 1), -20.0)
    high = np.full((count, 1), 20.0)
    for _ in range(30):  # bisects the logarithm of each clip's precision; its neighbours get the perplexity
        middle = (low + high) / 2
        near = np.exp(-np.exp(middle) * distance)
        near /= near.sum(axis=1, keepdims=True)
        entropy = -(near * np.log(near + 1e-300)).sum(axis=1, keepdims=True)
        wide = entropy > np.log(min(PERPLEXITY, (count - 1) / 3))
        low = np.where(wide, middle, low)
        high = np.where(wide, high, middle)
    joint = (near + near.T) / (2 * count)
    step = np.zeros_like(points)
    gain = np.ones_like(points)
    for number in range(TSNE_STEPS):
        early = number < TSNE_STEPS / 2  # with exaggerated attraction, so that clusters form
        kernel = 1 / (1 + squared_distances(points))
        np.fill_diagonal(kernel, 0)
        force = (joint * (12 if early else 1) - kernel / kernel.sum()) * kernel
        gradient = 4 * (force.sum(axis=1, keepdims=True) * points - force @ points)
        gain = np.maximum(np.where(gradient * step < 0, gain + 0.2, gain * 0.8), 0.01)
        step = (0.5 if early else 0.8) * step - TSNE_RATE * gain * gradient
        points = points + step
    return points


def data_tables(
    cache: Cache, features: list[str], writer: FigureWriter, seed: int
) -> dict[str, pd.DataFrame]:
    """The tables of the data half; its figures are submitted. `features` are those that can be read."""
    clips = originals(cache.clips)
    if clips.empty:
        return {}
    counts = pd.crosstab([clips["category"], clips["label"]], clips["fold"]).droplevel(0)
    writer.submit("clips_per_fold", counts=counts)
    made = {"clips": counts.rename(columns=lambda fold: f"fold{fold}").reset_index()}
    classes = sorted(clips["label"].unique())
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed)).set_index("clip_id")
    shown = leading_feature(cache, features)
    rows = {}
    components = {}
    summarised = {}
    described = [name for name in features if name != "waveform"]  # its samples mean nothing by themselves
    for name in progress(described, label="separability", unit="feature"):
        values = summarise(cache, name, list(sample.index))
        if values.empty:
            continue
        if name == shown:
            stored = cache[name]
            means = class_means(values.iloc[:, : stored.rows], sample["label"]).reindex(classes, fill_value=0)
            means.columns = pd.Index(map(format_plain, stored.row_axis))
            writer.submit("class_means", means=means, row_unit=stored.row_unit, title=name)
        summarised[name] = sample.loc[values.index]
        target = np.searchsorted(classes, summarised[name]["label"].tolist())
        recording = summarised[name]["group"].to_numpy(str)
        columns = standardised(values.to_numpy())
        components[name] = principal_components(columns)
        rows[name] = {
            "fisher_ratio": fisher_ratio(columns, target),
            "mutual_information": mutual_information(components[name], target, seed),
            "neighbour_accuracy": neighbour_accuracy(components[name], target, recording),
        }
    if len(classes) < 2 or not rows:
        return made
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("feature")
    table = table.sort_values("neighbour_accuracy", ascending=False, kind="stable")
    writer.submit("separability", measures=table)
    crowded = len(classes) > len(POINT_COLOURS) and (clips["category"] != "").all()
    points = {}
    labels = {}
    for method, project in (("PCA", pca_projection), ("t-SNE", tsne_projection)):
        for name in table.index[:PROJECTED_FEATURES]:
            points[f"{name}, {method}"] = project(components[name])
            labels[f"{name}, {method}"] = summarised[name]["category" if crowded else "label"].to_numpy(str)
    writer.submit("projections", points=points, labels=labels)
    return made | {"separability": table.reset_index()}


def summarise(cache: Cache, feature: str, clips: list[str]) -> pd.DataFrame:
    """(N, 2 rows) by clip id of those clips that can be read: mean and standard deviation over time."""
    batches = read_batches(cache, feature, clips)
    parts = [pd.DataFrame(summary_over_time(values), ids) for ids, values in batches]
    return pd.concat(parts) if parts else pd.DataFrame()


def class_means(values: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """(classes, columns) of standardised values (N, columns), both by clip id."""
    standard = (values - values.mean()) / values.std(ddof=0)
    return standard.fillna(0).groupby(labels).mean()  # a constant column has no deviation
