"""The half of the report that needs no run, from the cache alone.

Clip counts, class means, separability of the classes by each feature, projections.

For separability `values` (N, D) describes each of N clips by D numbers, here the mean and the standard
deviation over time of each row of a feature; `target` (N,) holds class numbers. Measures and projections
are computed on columns standardised over the clips, so that a row in Hz and one in dB count alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.clips import has_rows, original_clips, read_batches, sample_by_class
from analysis.figures import FigureWriter
from analysis.figures.data import POINT_COLOURS, format_plain
from commandline.registry import Registry
from commandline.terminal import counted, progress, size
from features_cache import Cache
from features_cache.index import WHOLE, failed_clips
from results.scores import Floats, Ints

SUMMARISED_CLIPS = 300  # clips that the measures use: more would take minutes and change no bar visibly
PROJECTED_FEATURES = 2  # the features with the highest clustering agreement


def data_facts(cache: Cache) -> list[tuple[str, str]]:
    """The numbers of the data in a line each."""
    clips = original_clips(cache)
    used = sum(file.stat().st_size for file in cache.folder.glob("*.h5") if file.is_file())
    copies = len(cache.clips) - len(clips)
    failed = failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items())
    facts = {
        "Clips": f"{len(clips):,}" + (f" and {copies:,} altered copies" if copies else ""),
        "Classes": str(clips["label"].nunique()),
        "Clips that failed": f"{untested:,}, so {len(clips) - untested:,} are tested" if untested else "",
        "Features that failed": f"{single}; runs without it test these clips" if single else "",
        "Source recordings": f"{clips['group'].nunique():,}",
        "Folds": str(clips["fold"].nunique()),
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz",
        "Features cached": f"{len(cache.features)}, {size(used)}",
        "Source": str(cache.settings.get("source", "")),
    }
    return [(name, value) for name, value in facts.items() if value]


def failures(cache: Cache) -> dict[str, set[str]]:
    """The original clips that failed, by cached feature; those under WHOLE are tested by no run.

    A clip that lacks a single feature is tested by the runs that do without it.
    """
    originals, names = set(original_clips(cache)["clip_id"]), (WHOLE, *cache.features)
    failed = failed_clips(cache.folder).items()
    return {name: ids for name, clips in failed if name in names and (ids := clips & originals)}


MOST_COLUMNS = 12  # principal components kept of a feature with more numbers a clip: most of the variance
LEADING_COLUMNS = 8  # of them for mutual information, whose time grows with columns times classes
TSNE_STEPS = 500  # half of t-SNE's default: the same projection of some hundred clips, in half the time
PERPLEXITY = 30.0  # t-SNE's default; fewer where there are fewer than three times as many clips


def summary_over_time(feature: NDArray[np.floating]) -> Floats:
    """Values (N, 2 rows) of a feature (N, rows, frames): mean and standard deviation over time."""
    values = np.asarray(feature, dtype=np.float32)
    return np.concatenate([values.mean(axis=2), values.std(axis=2)], axis=1).astype(float)


def standardised(values: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; constant ones are left out; (N, 0) where all are."""
    deviation = values.std(axis=0)
    moving = deviation > 1e-9 * (1 + np.abs(values).max(axis=0, initial=0))
    return (values[:, moving] - values[:, moving].mean(axis=0)) / deviation[moving]


def principal_components(values: Floats, most: int, rng: np.random.Generator) -> Floats:
    """(N, most) at most: the leading principal components of the standardised values."""
    from sklearn.decomposition import PCA

    columns = standardised(values)
    kept = min(most, len(values) - 1, columns.shape[1])
    return PCA(kept, random_state=int(rng.integers(2**31))).fit_transform(columns) if kept else columns


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
    columns = principal_components(values, MOST_COLUMNS, rng)[:, :LEADING_COLUMNS]
    shares = np.bincount(target) / len(target)
    entropy = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    smallest = np.bincount(target)[np.unique(target)].min(initial=len(target))
    if not columns.shape[1] or entropy == 0 or smallest < 2:
        return 0.0
    from sklearn.feature_selection import mutual_info_classif

    neighbours, state = int(min(3, smallest - 1)), int(rng.integers(2**31))
    nats = mutual_info_classif(columns, target, n_neighbors=neighbours, random_state=state)
    return float(nats.mean() / entropy)


@MEASURES.register()
def clustering_agreement(values: Floats, target: Ints, rng: np.random.Generator) -> float:
    """Adjusted mutual information of the classes and as many k-means clusters: 0 is chance, 1 is equal."""
    columns = principal_components(values, MOST_COLUMNS, rng)
    classes = len(np.unique(target))
    if not columns.shape[1] or classes < 2:
        return 0.0
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score

    groups, state = min(classes, len(np.unique(columns, axis=0))), int(rng.integers(2**31))
    clusters = KMeans(groups, n_init=3, random_state=state)
    return float(adjusted_mutual_info_score(target, clusters.fit_predict(columns)))


def pca_projection(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip: the first two principal components."""
    places = np.zeros((len(values), 2))
    kept = principal_components(values, 2, rng)
    places[:, : kept.shape[1]] = kept
    return places


def tsne_projection(values: Floats, rng: np.random.Generator) -> Floats:
    """Two coordinates (N, 2) of each clip by t-SNE, begun at the PCA projection, which few clips keep."""
    columns, start = principal_components(values, MOST_COLUMNS, rng), pca_projection(values, rng)
    if len(values) < 5 or not columns.shape[1]:
        return start
    from sklearn.manifold import TSNE

    start *= 1e-4 / max(start[:, 0].std(), 1e-12)
    perplexity, state = min(PERPLEXITY, (len(values) - 1) / 3), int(rng.integers(2**31))
    tsne = TSNE(2, perplexity=perplexity, init=start, max_iter=TSNE_STEPS, random_state=state)
    return tsne.fit_transform(columns).astype(float)


class Summaries(NamedTuple):
    """A feature of a sample of clips, summarised over time."""

    values: Floats  # (N, 2 rows): mean and deviation over time
    target: Ints  # (N,) class numbers


def data_tables(
    cache: Cache, features: list[str], writer: FigureWriter, seed: int
) -> dict[str, pd.DataFrame]:
    """The tables of the data half; its figures are submitted. `features` are those that can be read."""
    clips = original_clips(cache)
    if clips.empty:
        return {}
    counts = pd.crosstab(clips["label"], clips["fold"])
    counts = counts.loc[clips.drop_duplicates("label").sort_values(["category", "label"])["label"]]
    folds, classes = list(counts.columns), sorted(clips["label"].unique())
    writer.submit("clips_per_fold", counts=counts.to_numpy(), classes=list(counts.index), folds=folds)
    made = {"clips": counts.rename(columns=lambda fold: f"fold{fold}").reset_index()}
    sample = sample_by_class(clips, SUMMARISED_CLIPS, np.random.default_rng(seed))
    summaries = summarise(cache, features, sample, classes)
    for name in [name for name in ("mel", *summaries) if name in summaries and has_rows(cache, name)][:1]:
        stored, (values, target) = cache[name], summaries[name]
        writer.submit(
            "class_means",
            means=class_means(values[:, : stored.rows], target, len(classes)),
            classes=classes,
            rows=list(map(format_plain, stored.row_axis)),
            row_unit=stored.attributes.get("row_unit", ""),
            title=name,
        )
    if len(classes) < 2 or not summaries:
        return made
    rows = [
        {"feature": name}
        | {
            measure: compute(summary.values, summary.target, np.random.default_rng(seed))
            for measure, compute in MEASURES.items()
        }
        for name, summary in progress(
            summaries.items(), total=len(summaries), label="separability", unit="feature"
        )
    ]
    table = pd.DataFrame(rows).sort_values("clustering_agreement", ascending=False, kind="stable")
    by_measure = {name: table[name].to_numpy() for name in MEASURES}
    writer.submit("separability", names=table["feature"].tolist(), measures=by_measure)
    colours, place = np.unique(colour_groups(clips, classes), return_inverse=True)
    points, labels = {}, {}
    for method, project in (("PCA", pca_projection), ("t-SNE", tsne_projection)):
        for name in table["feature"][:PROJECTED_FEATURES]:
            summary, title = summaries[name], f"{name}, {method}"
            points[title] = project(summary.values, np.random.default_rng(seed))
            labels[title] = place[summary.target]
    writer.submit("projections", points=points, labels=labels, classes=colours.tolist())
    return made | {"separability": table}


def summarise(
    cache: Cache, features: list[str], sample: pd.DataFrame, classes: list[str]
) -> dict[str, Summaries]:
    """Every feature but the waveform, whose samples mean nothing one by one, of the clips that have it.

    The cache is opened anew for each, or the memory maps of all would add up.
    """
    number = sample.set_index("clip_id")["label"].map({name: place for place, name in enumerate(classes)})
    summaries = {}
    for name in progress(
        [name for name in features if name != "waveform"], label="summarising", unit="feature"
    ):
        parts = [
            (ids, summary_over_time(values))
            for ids, values in read_batches(Cache(cache.folder), name, number.index)
        ]
        if parts:
            ids = [clip for part, _ in parts for clip in part]
            values = np.concatenate([summary for _, summary in parts])
            summaries[name] = Summaries(values, number.loc[ids].to_numpy(np.intp))
    return summaries


def class_means(values: Floats, target: Ints, classes: int) -> Floats:
    """(classes, columns) of standardised values (N, columns); 0 where a class has no clip."""
    scale = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, target, standard)
    return sums / np.maximum(np.bincount(target, minlength=classes), 1)[:, None]


def colour_groups(clips: pd.DataFrame, classes: list[str]) -> list[str]:
    """What colours each class's dots: itself, or its category where classes outnumber the colours."""
    category = clips.drop_duplicates("label").set_index("label")["category"].loc[classes]
    return classes if len(classes) <= len(POINT_COLOURS) or (category == "").any() else category.tolist()
