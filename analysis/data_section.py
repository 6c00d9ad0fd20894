"""The half of the report that needs no run: what the clips are and how they look, from the cache alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cached, formats
from analysis import separability as separation
from analysis.blocks import Block
from analysis.figures import Saved, save
from analysis.figures.features import Shown, plain
from analysis.grid import grid
from analysis.metrics import Floats, Ints
from analysis.pictures import pooled
from commandline import progress, size
from features_cache import Cache

DESCRIBED = 500  # clips that the statistics look at: more would take minutes and move no bar visibly
MAPPED = 3  # features that get maps, the ones that separate best
PANEL_ROWS, PANEL_FRAMES = 160, 320  # pixels of a panel; more would not be seen


@dataclass(frozen=True, eq=False)
class Described:
    """A feature of a sample of clips, each told by a few numbers."""

    values: Floats  # (N, 2 rows): mean and deviation over time
    target: Ints  # (N,) class numbers


def blocks(cache: Cache, features: list[str], folder: Path, seed: int) -> list[Block]:
    """Every block of the data half, its figures and tables written into the report's folder.

    `features` are the cached ones that can be read.
    """
    clips = cached.clips_of(cache)
    if clips.empty:
        return []
    rng = np.random.default_rng(seed)
    made = [_counts(clips, folder), *_looks(cache, features, clips, folder, rng)]
    if features:
        classes = sorted(clips["label"].unique())
        described = describe(cache, features, cached.drawn_by_class(clips, DESCRIBED, rng), classes)
        made += _gallery(cache, features, clips, folder, rng)
        made += _means(cache, described, classes, folder)
        made += _separation(described, classes, folder, seed)
    return made


def facts(cache: Cache) -> list[tuple[str, str]]:
    """The numbers of the data in a line each."""
    clips = cached.clips_of(cache)
    used = sum(file.stat().st_size for file in cache.folder.glob("*.h5"))
    copies = len(cache.clips) - len(clips)
    shown = [
        ("Clips", f"{len(clips):,}" + (f" and {copies:,} altered copies" if copies else "")),
        ("Classes", str(clips["label"].nunique())),
        ("Source recordings", f"{clips['group'].nunique():,}"),
        ("Folds", str(clips["fold"].nunique())),
        ("A clip", f"{cache.duration:g} s at {cache.sample_rate:,} Hz"),
        ("Features cached", f"{len(cache.features)}, {size(used)}"),
        ("Source", str(cache.settings.get("source", ""))),
    ]
    failed = failures(cache)
    return shown + ([("Clips that failed", str(failed))] if failed else [])


def failures(cache: Cache) -> int:
    """Clips that the extraction could not do in some feature."""
    file = cache.folder / "failures.csv"
    try:
        return int(pd.read_csv(file)["clip_id"].nunique()) if file.is_file() else 0
    except (ValueError, KeyError):
        return 0


def _counts(clips: pd.DataFrame, folder: Path) -> Block:
    table = pd.crosstab(clips["label"], clips["fold"])
    order = clips.drop_duplicates("label").sort_values(["category", "label"])["label"]
    table = table.loc[order]
    formats.write(table.rename(columns=lambda fold: f"fold{fold}").reset_index(), folder / "tables", "clips")
    drawn = save(
        "clips_per_fold",
        folder,
        counts=table.to_numpy(),
        classes=list(table.index),
        folds=list(table.columns),
    )
    smallest, largest = table.sum(axis=1).min(), table.sum(axis=1).max()
    even = (
        f"Every class has {smallest} clips."
        if smallest == largest
        else (f"The smallest class has {smallest} clips, the largest {largest}.")
    )
    return Block("Clips per class and fold", even, [drawn])


def _looks(
    cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, rng: np.random.Generator
) -> list[Block]:
    """A waveform and a mel spectrogram of one clip of each class, where they are cached."""
    chosen = clips.groupby("label", sort=True).sample(1, random_state=int(rng.integers(2**31)))
    figures: list[Saved] = []
    waves = _by_class(cache, "waveform", chosen) if "waveform" in features else {}
    if waves:
        shown = {name: values[0] for name, values in waves.items()}
        figures.append(save("waveforms", folder, clips=shown, seconds=cache.duration))
    mels = _by_class(cache, "mel", chosen) if "mel" in features else {}
    if mels:
        hertz = cache["mel"].row_axis
        figures.append(save("spectrograms", folder, clips=mels, seconds=cache.duration, hertz=hertz))
    about = "One clip of each class, drawn at random with a fixed seed."
    return [Block("How the classes look", about, figures)] if figures else []


def _by_class(cache: Cache, feature: str, chosen: pd.DataFrame) -> dict[str, np.ndarray]:
    found = {}
    for clip, label in chosen[["clip_id", "label"]].itertuples(index=False):
        values = cached.one(cache, feature, clip)
        if values is not None:
            found[label] = values if feature == "waveform" else pooled(values, PANEL_FRAMES, axis=1)
    return found


def _gallery(
    cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, rng: np.random.Generator
) -> list[Block]:
    done = np.sum([cache[name].done() for name in features], axis=0)[clips.index]
    if not done.any():
        return []
    clip = clips[done == done.max()].sample(1, random_state=int(rng.integers(2**31))).iloc[0]
    shown = [one for name in features if (one := _shown(cache, name, clip["clip_id"]))]
    drawn = save("gallery", folder, features=shown, title=f"{clip['clip_id']} · {clip['label']}")
    about = f"All {len(shown)} cached features of one clip, {clip['clip_id']} ({clip['label']})."
    return [Block("Every feature of one clip", about, [drawn])] if shown else []


def _shown(cache: Cache, name: str, clip: str) -> Shown | None:
    values, stored = cached.one(cache, name, clip), cache[name]
    if values is None:
        return None
    said = stored.attributes
    if len(values) > 1:  # pixels that the panel has no room for would only make files larger
        values = pooled(pooled(values, PANEL_ROWS, axis=0), PANEL_FRAMES, axis=1)
    rows = pooled(np.asarray(stored.row_axis, np.float32), PANEL_ROWS, axis=0)
    return Shown(name, values, rows, said.get("row_unit", ""), stored.frame_axis, said.get("units", ""))


def describe(
    cache: Cache, features: list[str], sample: pd.DataFrame, classes: list[str]
) -> dict[str, Described]:
    """Every feature but the waveform, whose samples mean nothing one by one, of the clips that have it."""
    number = sample.set_index("clip_id")["label"].map({name: place for place, name in enumerate(classes)})
    found = {}
    for name in progress(
        [name for name in features if name != "waveform"], label="describing", unit="feature"
    ):
        parts = [
            (ids, separation.summary(values)) for ids, values in cached.batches(cache, name, number.index)
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
        f"In standard deviations from the mean over {DESCRIBED} clips at most, drawn evenly from the classes."
    )
    return [Block("Means by class", about, figures)] if figures else []


def class_means(values: Floats, target: Ints, classes: int) -> Floats:
    """(classes, columns) of standardised values (N, columns); 0 where a class has no clip."""
    scale = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, target, standard)
    return sums / np.maximum(np.bincount(target, minlength=classes), 1)[:, None]


def _separation(
    described: Mapping[str, Described], classes: list[str], folder: Path, seed: int
) -> list[Block]:
    """How far each feature separates the classes, and maps of the clips by the best of them."""
    if len(classes) < 2 or not described:
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
        "of all there is to say. Clustering agreement: of as many clusters as there are classes with the classes."
    )
    return [
        Block(
            "What separates the classes before any training",
            about,
            [bars],
            [grid("separability", table, columns)],
        ),
        _maps(described, table["feature"].tolist()[:MAPPED], classes, folder, seed),
    ]


def _maps(
    described: Mapping[str, Described], names: list[str], classes: list[str], folder: Path, seed: int
) -> Block:
    points, labels = {}, {}
    for method, map_ in (("PCA", separation.pca_map), ("t-SNE", separation.tsne_map)):
        for name in names:
            title = f"{name}, {method}"
            points[title] = map_(described[name].values, np.random.default_rng(seed))
            labels[title] = described[name].target
    drawn = save("clip_maps", folder, points=points, labels=labels, classes=classes)
    return Block(
        "Maps of the clips", f"By {', '.join(names)}: each dot is a clip, near dots sound alike.", [drawn]
    )
