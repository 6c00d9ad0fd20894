"""The half of the report that needs no run, from the cache alone.

Clip counts, class means, separability of the classes by each feature, projections.

For separability `values` (N, D) describes each of N clips by D numbers, here the mean and the standard
deviation over time of each row of a feature; `target` (N,) holds class numbers. Measures and projections
are computed on columns standardised over the clips, so that a row in Hz and one in dB count alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_mutual_info_score

from analysis.clips import has_rows, original_clips, read_batches, sample_by_class
from analysis.figures import save_figure
from analysis.figures.data import POINT_COLOURS, format_plain
from analysis.page import Block, html_table
from analysis.tables import write_table
from commandline.registry import Registry
from commandline.terminal import counted, progress, size
from features_cache import Cache
from features_cache.index import WHOLE, failed_clips
from results.scores import Floats, Ints


def data_blocks(cache: Cache, features: list[str], folder: Path, seed: int) -> list[Block]:
    """Every block of the data half, its figures and tables written into the report's folder.

    `features` are the cached ones that can be read.
    """
    clips = original_clips(cache)
    if clips.empty:
        return []
    made = [_counts(clips, folder, len(_failures(cache).get(WHOLE, ())))]
    return [*made, *_separability_blocks(cache, features, clips, folder, seed)] if features else made


def data_facts(cache: Cache) -> list[tuple[str, str]]:
    """The numbers of the data in a line each."""
    clips = original_clips(cache)
    used = sum(file.stat().st_size for file in cache.folder.glob("*.h5") if file.is_file())
    copies = len(cache.clips) - len(clips)
    failed = _failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items())
    return [
        ("Clips", f"{len(clips):,}" + (f" and {copies:,} altered copies" if copies else "")),
        ("Classes", str(clips["label"].nunique())),
        *(
            [("Clips that failed", f"{untested:,}, so {len(clips) - untested:,} are tested")]
            if untested
            else []
        ),
        *([("Features that failed", f"{single}; runs without it test these clips")] if single else []),
        ("Source recordings", f"{clips['group'].nunique():,}"),
        ("Folds", str(clips["fold"].nunique())),
        ("A clip", f"{cache.duration:g} s at {cache.sample_rate:,} Hz"),
        ("Features cached", f"{len(cache.features)}, {size(used)}"),
        ("Source", str(cache.settings.get("source", ""))),
    ]


def _failures(cache: Cache) -> dict[str, set[str]]:
    """The original clips that failed, by cached feature; those under WHOLE are tested by no run.

    A clip that lacks a single feature is tested by the runs that do without it.
    """
    originals, shown = set(original_clips(cache)["clip_id"]), (WHOLE, *cache.features)
    failed = failed_clips(cache.folder).items()
    return {name: ids for name, clips in failed if name in shown and (ids := clips & originals)}


def _counts(clips: pd.DataFrame, folder: Path, failed: int) -> Block:
    table = pd.crosstab(clips["label"], clips["fold"])
    order = clips.drop_duplicates("label").sort_values(["category", "label"])["label"]
    table = table.loc[order]
    write_table(table.rename(columns=lambda fold: f"fold{fold}").reset_index(), folder / "tables", "clips")
    drawn = save_figure(
        "clips_per_fold",
        folder,
        counts=table.to_numpy(),
        classes=list(table.index),
        folds=list(table.columns),
    )
    smallest, largest = table.sum(axis=1).min(), table.sum(axis=1).max()
    even = bool((table == table.iloc[0, 0]).all(axis=None))
    about = f"The smallest class has {smallest} clips, the largest {largest}."
    if smallest == largest:
        about = f"Every class has {smallest} clips" + (f", {table.iloc[0, 0]} in each fold." if even else ".")
    if failed:
        about += f" That counts {counted(failed, 'clip')} that failed, which no run tests."
    return Block("Clips per class and fold", about, [drawn], folded=even)


MOST_COLUMNS = (
    12  # principal components kept where a feature has more numbers a clip than this: most of the variance
)
LEADING_COLUMNS = 8  # of them for mutual information, whose time grows with columns times classes
TSNE_STEPS = 500  # half of t-SNE's default: the same projection of some hundred clips, in half the time
PERPLEXITY = 30.0  # t-SNE's default; fewer where there are fewer than three times as many clips


def over_time(feature: NDArray[np.floating]) -> Floats:
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


Measure = Callable[[Floats, Ints, np.random.Generator], float]
MEASURES: Registry[Measure] = Registry("measure of separability")


@MEASURES.register()
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


@MEASURES.register()
def mutual_information(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """Mutual information of a leading principal component and the class, as a share of the entropy."""
    columns = compressed(values, rng)[:, :LEADING_COLUMNS]
    entropy = _entropy(target)
    smallest = np.bincount(target)[np.unique(target)].min(initial=len(target))
    if not columns.shape[1] or entropy == 0 or smallest < 2:
        return 0.0
    neighbours = int(min(3, smallest - 1))
    nats = mutual_info_classif(columns, target, n_neighbors=neighbours, random_state=_state(rng))
    return float(nats.mean() / entropy)


@MEASURES.register()
def clustering_agreement(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """Adjusted mutual information of the classes and as many k-means clusters: 0 is chance, 1 is equal."""
    columns = compressed(values, rng)
    classes = len(np.unique(target))
    if not columns.shape[1] or classes < 2:
        return 0.0
    clusters = KMeans(min(classes, len(np.unique(columns, axis=0))), n_init=3, random_state=_state(rng))
    return float(adjusted_mutual_info_score(target, clusters.fit_predict(columns)))


def measures(values: Floats, target: Ints, rng: np.random.Generator) -> dict[str, float]:
    """Every registered measure of one feature."""
    return {name: function(values, target, rng) for name, function in MEASURES.items()}


def pca_projection(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip: the first two principal components."""
    columns = standardised(values)
    kept = min(2, *columns.shape)
    places = np.zeros((len(values), 2))
    if kept:
        places[:, :kept] = PCA(kept, random_state=_state(rng)).fit_transform(columns)
    return places


def tsne_projection(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip by t-SNE, begun at the PCA projection, which few clips keep."""
    columns = compressed(values, rng)
    if len(values) < 5 or not columns.shape[1]:
        return pca_projection(values, rng)
    start = pca_projection(values, rng)
    start *= 1e-4 / max(start[:, 0].std(), 1e-12)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init=start, max_iter=TSNE_STEPS, random_state=_state(rng))
    return tsne.fit_transform(columns).astype(float)


def _entropy(target: Ints) -> float:
    shares = np.bincount(target) / len(target)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _state(rng: np.random.Generator) -> int:
    """scikit-learn's seed, drawn from the generator."""
    return int(rng.integers(2**31))


SUMMARISED_CLIPS = 300  # clips that the measures use: more would take minutes and change no bar visibly
PROJECTED_FEATURES = 3  # the features with the highest clustering agreement
PROJECTED_CLIPS = 300  # clips in a projection; t-SNE's time grows with them, and more would overlap


@dataclass(frozen=True, eq=False)
class Summaries:
    """A feature of a sample of clips, summarised over time."""

    values: Floats  # (N, 2 rows): mean and deviation over time
    target: Ints  # (N,) class numbers


def _separability_blocks(
    cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, seed: int
) -> list[Block]:
    """Class means, separability and projections, their figures and tables written into the folder."""
    classes = sorted(clips["label"].unique())
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed))
    summaries = summarise(cache, features, sample, classes)
    means = _means(cache, summaries, classes, folder)
    return [*means, *_separability(summaries, colour_groups(clips, classes), folder, seed)]


def summarise(
    cache: Cache, features: list[str], sample: pd.DataFrame, classes: list[str]
) -> dict[str, Summaries]:
    """Every feature but the waveform, whose samples mean nothing one by one, of the clips that have it.

    The cache is opened anew for each, or the memory maps of all would add up.
    """
    number = sample.set_index("clip_id")["label"].map({name: place for place, name in enumerate(classes)})
    found = {}
    for name in progress(
        [name for name in features if name != "waveform"], label="summarising", unit="feature"
    ):
        parts = [
            (ids, over_time(values)) for ids, values in read_batches(Cache(cache.folder), name, number.index)
        ]
        if parts:
            ids = [clip for part, _ in parts for clip in part]
            values = np.concatenate([summary for _, summary in parts])
            found[name] = Summaries(values, number.loc[ids].to_numpy(np.intp))
    return found


def _means(cache: Cache, summaries: Mapping[str, Summaries], classes: list[str], folder: Path) -> list[Block]:
    """Class means of mel, or of the first feature of several rows, and of all features with one row."""
    figures = []
    with_rows = [name for name in ("mel", *summaries) if name in summaries and has_rows(cache, name)]
    for name in with_rows[:1]:
        stored, one = cache[name], summaries[name]
        figures.append(
            save_figure(
                "class_means",
                folder,
                means=class_means(one.values[:, : stored.rows], one.target, len(classes)),
                classes=classes,
                rows=[format_plain(value) for value in stored.row_axis],
                row_unit=stored.attributes.get("row_unit", ""),
                title=name,
            )
        )
    single = [name for name in summaries if cache[name].rows == 1]
    means = [
        class_means(summaries[name].values[:, :1], summaries[name].target, len(classes)) for name in single
    ]
    if single:
        figures.append(
            save_figure(
                "class_means",
                folder,
                stem="class_means_single",
                means=np.hstack(means),
                classes=classes,
                rows=single,
                row_unit="",
                title="features with one row",
            )
        )
    about = (
        "Orange is above the mean of all clips, violet below, in standard deviations. Computed on at most "
        f"{SUMMARISED_CLIPS} clips, the same number of each class."
    )
    return [Block("Class means", about, figures)] if figures else []


def class_means(values: Floats, target: Ints, classes: int) -> Floats:
    """(classes, columns) of standardised values (N, columns); 0 where a class has no clip."""
    scale = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, target, standard)
    return sums / np.maximum(np.bincount(target, minlength=classes), 1)[:, None]


def _separability(
    summaries: Mapping[str, Summaries], groups: list[str], folder: Path, seed: int
) -> list[Block]:
    """Separability of the classes by each feature, and projections of the clips by the best of them.

    `groups`: what a dot's colour stands for, one a class.
    """
    if len(groups) < 2 or not summaries:
        return []
    table = pd.DataFrame(
        [
            {"feature": name, **measures(one.values, one.target, np.random.default_rng(seed))}
            for name, one in progress(
                summaries.items(), total=len(summaries), label="separability", unit="feature"
            )
        ]
    ).sort_values("clustering_agreement", ascending=False, kind="stable")
    write_table(table, folder / "tables", "separability")
    by_measure = {name: table[name].to_numpy() for name in MEASURES}
    bars = save_figure("separability", folder, names=table["feature"].tolist(), measures=by_measure)
    columns = {"feature": ("Feature", "text")} | {
        name: (name.replace("_", " ").capitalize(), "decimals") for name in MEASURES
    }
    about = (
        "Each clip is summarised by the mean and standard deviation over time of every row. Fisher ratio: "
        "variance between classes over variance within classes. Mutual information: of a principal component "
        "with the class, as a share of the class's entropy. Clustering agreement: adjusted mutual "
        "information of k-means clusters, as many as classes, with the classes."
    )
    numbers = [html_table("separability", table, columns)]
    return [
        Block("Separability of the classes, before any training", about, [bars]),
        Block("Separability in numbers", tables=numbers, folded=True),
        _projections(summaries, table["feature"].tolist()[:PROJECTED_FEATURES], groups, folder, seed),
    ]


def colour_groups(clips: pd.DataFrame, classes: list[str]) -> list[str]:
    """What colours each class's dots: itself, or its category where classes outnumber the colours."""
    category = clips.drop_duplicates("label").set_index("label")["category"].loc[classes]
    return classes if len(classes) <= len(POINT_COLOURS) or (category == "").any() else category.tolist()


def _projections(
    summaries: Mapping[str, Summaries], names: list[str], groups: list[str], folder: Path, seed: int
) -> Block:
    colours, place = np.unique(groups, return_inverse=True)
    points, labels = {}, {}
    for method, project in (("PCA", pca_projection), ("t-SNE", tsne_projection)):
        for name in names:
            one, rng = summaries[name], np.random.default_rng(seed)
            chosen = rng.permutation(len(one.target))[:PROJECTED_CLIPS]
            title = f"{name}, {method}"
            points[title], labels[title] = project(one.values[chosen], rng), place[one.target[chosen]]
    drawn = save_figure("projections", folder, points=points, labels=labels, classes=colours.tolist())
    about = (
        f"The mean and standard deviation over time of {', '.join(names)}, for at most {PROJECTED_CLIPS} "
        "clips, one dot a clip."
    )
    return Block("Projections of the clips", about, [drawn])
