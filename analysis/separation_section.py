"""How far the cached features tell the classes apart before any training: means, measures, maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cached, formats
from analysis import separability as separation
from analysis.blocks import Block
from analysis.figures import save
from analysis.figures.features import plain
from analysis.figures.maps import POINTS
from analysis.grid import grid
from commandline import progress
from features_cache import Cache
from train.scores import Floats, Ints

DESCRIBED = 300  # clips that the statistics look at: more would take minutes and move no bar visibly
MAPPED = 3  # features that get maps, the ones that separate best
DOTS = 300  # clips on a map; t-SNE's time grows with them, and more hide each other


@dataclass(frozen=True, eq=False)
class Described:
    """A feature of a sample of clips, each told by a few numbers."""

    values: Floats  # (N, 2 rows): mean and deviation over time
    target: Ints  # (N,) class numbers


def blocks(cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, seed: int) -> list[Block]:
    """Class means, measures of separation and maps, their figures and tables written into the folder."""
    classes = sorted(clips["label"].unique())
    sample = cached.drawn_by_class(clips, DESCRIBED, np.random.default_rng(seed))
    described = describe(cache, features, sample, classes)
    means = _means(cache, described, classes, folder)
    return [*means, *_separation(described, kinds_of(clips, classes), folder, seed)]


def describe(
    cache: Cache, features: list[str], sample: pd.DataFrame, classes: list[str]
) -> dict[str, Described]:
    """Every feature but the waveform, whose samples mean nothing one by one, of the clips that have it.

    The cache is opened anew for each, or the memory maps of all would add up.
    """
    number = sample.set_index("clip_id")["label"].map({name: place for place, name in enumerate(classes)})
    found = {}
    for name in progress(
        [name for name in features if name != "waveform"], label="describing", unit="feature"
    ):
        parts = [
            (ids, separation.summary(values))
            for ids, values in cached.batches(Cache(cache.folder), name, number.index)
        ]
        if parts:
            ids = [clip for part, _ in parts for clip in part]
            values = np.concatenate([summary for _, summary in parts])
            found[name] = Described(values, number.loc[ids].to_numpy(np.intp))
    return found


def _means(cache: Cache, described: Mapping[str, Described], classes: list[str], folder: Path) -> list[Block]:
    """Class means of mel, or of the first feature of several rows, and of all features of one row."""
    figures = []
    pictures = [name for name in ("mel", *described) if name in described and cached.is_picture(cache, name)]
    for name in pictures[:1]:
        stored, one = cache[name], described[name]
        figures.append(
            save(
                "class_means",
                folder,
                means=class_means(one.values[:, : stored.rows], one.target, len(classes)),
                classes=classes,
                rows=[plain(value) for value in stored.row_axis],
                row_unit=stored.attributes.get("row_unit", ""),
                title=name,
            )
        )
    single = [name for name in described if cache[name].rows == 1]
    means = [
        class_means(described[name].values[:, :1], described[name].target, len(classes)) for name in single
    ]
    if single:
        figures.append(
            save(
                "class_means",
                folder,
                stem="class_means_single",
                means=np.hstack(means),
                classes=classes,
                rows=single,
                row_unit="",
                title="features of one row",
            )
        )
    about = (
        "Orange is above the mean of all clips, violet below, in standard deviations; over "
        f"{DESCRIBED} clips at most, drawn evenly from the classes."
    )
    return [Block("Means by class", about, figures)] if figures else []


def class_means(values: Floats, target: Ints, classes: int) -> Floats:
    """(classes, columns) of standardised values (N, columns); 0 where a class has no clip."""
    scale = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, target, standard)
    return sums / np.maximum(np.bincount(target, minlength=classes), 1)[:, None]


def _separation(described: Mapping[str, Described], kinds: list[str], folder: Path, seed: int) -> list[Block]:
    """How far each feature separates the classes, and maps of the clips by the best of them.

    `kinds`: what tells the dots of each class apart.
    """
    if len(kinds) < 2 or not described:
        return []
    table = pd.DataFrame(
        [
            {"feature": name, **separation.separability(one.values, one.target, np.random.default_rng(seed))}
            for name, one in progress(
                described.items(), total=len(described), label="separability", unit="feature"
            )
        ]
    ).sort_values("clustering_agreement", ascending=False, kind="stable")
    formats.write(table, folder / "tables", "separability")
    measures = {name: table[name].to_numpy() for name in separation.MEASURES}
    bars = save("separability", folder, names=table["feature"].tolist(), measures=measures)
    columns = {"feature": ("Feature", "text")} | {
        name: (name.replace("_", " ").capitalize(), "decimals") for name in separation.MEASURES
    }
    about = (
        "Each clip is told by the mean and deviation over time of every row. Fisher ratio: variance between "
        "classes over variance within. Mutual information: what a column says about the class, as a share "
        "of all there is to say. Clustering agreement: of as many clusters as classes with the classes."
    )
    numbers = [grid("separability", table, columns)]
    return [
        Block("What separates the classes before any training", about, [bars]),
        Block("Separation in numbers", grids=numbers, folded=True),
        _maps(described, table["feature"].tolist()[:MAPPED], kinds, folder, seed),
    ]


def kinds_of(clips: pd.DataFrame, classes: list[str]) -> list[str]:
    """What colours each class's dots: itself, or its category where classes outnumber the colours."""
    category = clips.drop_duplicates("label").set_index("label")["category"].loc[classes]
    return classes if len(classes) <= len(POINTS) or (category == "").any() else category.tolist()


def _maps(
    described: Mapping[str, Described], names: list[str], kinds: list[str], folder: Path, seed: int
) -> Block:
    told, place = np.unique(kinds, return_inverse=True)
    points, labels = {}, {}
    for method, map_ in (("PCA", separation.pca_map), ("t-SNE", separation.tsne_map)):
        for name in names:
            one, rng = described[name], np.random.default_rng(seed)
            chosen = rng.permutation(len(one.target))[:DOTS]
            title = f"{name}, {method}"
            points[title], labels[title] = map_(one.values[chosen], rng), place[one.target[chosen]]
    drawn = save("clip_maps", folder, points=points, labels=labels, classes=told.tolist())
    about = f"By {', '.join(names)}, for {DOTS} clips at most: each dot is a clip, near dots sound alike."
    return Block("Maps of the clips", about, [drawn])
