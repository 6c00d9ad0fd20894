"""The report's section on the data: facts, counts, separability.

Separability is the accuracy of the nearest neighbour by a feature, before any training.
`values` (N, D) describes each of N clips by D numbers: the mean and the standard
deviation over time of each row of a feature, or, if its columns are not time, its
values averaged over neighbouring columns. `target` (N,) holds classes. The D numbers
are standardised over the clips, so that a row in Hz and one in dB count alike;
distances are computed on their leading principal `components`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from featurestack.analysis.clips import read_batches, sample_by_class
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.figures.data import SAMPLED_CLIPS
from featurestack.commandline.quantities import counted, plural, size
from featurestack.commandline.terminal import progress
from featurestack.features_cache import Cache
from featurestack.features_cache.row_statistics import (
    column_means,
    has_statistics,
    over_time,
)
from featurestack.features_cache.side_files import WHOLE, failed_clips
from featurestack.features_cache.table import (
    by_label,
    classes_in,
    has_tags,
    has_windows,
    originals,
)
from featurestack.scores.metrics import Floats, Ints

MOST_DRAWN = 200  # classes in the figure of clips per fold; 2,000 take minutes
COMPONENTS = 12  # principal components that distances are computed on, at most


def data_facts(cache: Cache) -> dict[str, str]:
    """Facts of the dataset: name -> text, which is '' if a fact does not apply."""
    clips = originals(cache.clips)
    files = cache.folder.glob("*.h5")
    used = sum(file.stat().st_size for file in files if file.is_file())
    copies = len(cache.clips) - len(clips)
    failed = failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(
        f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items()
    )
    groups = plural(cache.groups or "source recording")
    each = ""
    if not cache.groups and clips["group"].is_unique:
        each = ", each clip counted as one"
    drawn = (cache.folder.parent / "folds.csv").exists()
    own = "" if drawn else ", the dataset's own"
    of_recordings = ""
    if has_windows(clips):
        of_recordings = f" of {counted(clips['path'].nunique(), 'recording')}"
    altered = f" and {copies:,} altered copies" if copies else ""
    return {
        "Clips": f"{len(clips):,}{of_recordings}{altered}",
        "Classes": str(len(classes_in(clips))),
        "Clips that failed": (
            f"{untested:,}, so {len(clips) - untested:,} are tested" if untested else ""
        ),
        "Features that failed": (
            f"{single}; a run without the feature tests these clips" if single else ""
        ),
        groups[0].upper() + groups[1:]: f"{clips['group'].nunique():,}{each}",
        "Folds": f"{clips['fold'].nunique()}{own}",
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz"
        + (f", channel {cache.audio_channel}" if cache.audio_channel else ""),
        "Features cached": f"{len(cache.features)}, {size(used)}",
        # the name alone: the page is passed on, its machine's folders are not
        "Source": Path(str(cache.settings.get("source", ""))).name,
    }


def failures(cache: Cache) -> dict[str, set[str]]:
    """Cached feature, or WHOLE for the clip itself -> ids of the original clips that
    failed.

    No run tests the clips under WHOLE. A run tests the others if it does not use the
    features that failed.
    """
    tested = set(originals(cache.clips)["clip_id"])
    names = (WHOLE, *cache.features)
    failed = {
        name: clips & tested
        for name, clips in failed_clips(cache.folder).items()
        if name in names
    }
    return {name: clips for name, clips in failed.items() if clips}


def data_tables(
    cache: Cache, features: Sequence[str], writer: FigureWriter
) -> dict[str, pd.DataFrame]:
    """Submit the section's figures, of readable features; its tables by name."""
    clips = originals(cache.clips)
    if clips.empty:
        return {}
    each = by_label(clips)
    # sorted by category, then by class
    counts = pd.crosstab([each["category"], each["label"]], each["fold"])
    counts = counts.droplevel(0).rename(index={"": "(none)"})
    if len(counts) <= MOST_DRAWN:
        writer.submit("clips_per_fold", counts=counts)
    by_fold = counts.rename(columns=lambda fold: f"fold{fold}")
    tables = {"clips": by_fold.reset_index()}
    if has_tags(clips):  # means and neighbours of a class need clips of one label
        return tables
    rng = np.random.default_rng(0)
    sample = sample_by_class(clips, SAMPLED_CLIPS, rng).set_index("clip_id")
    accuracy = {}
    # its samples mean nothing by themselves
    described = [name for name in features if name != "waveform"]
    for name in progress(described, label="separability", unit="feature"):
        values = summarise(cache, name, list(sample.index))
        if values.empty:
            continue
        summarised = sample.loc[values.index]
        target = summarised["label"].to_numpy(str)
        recording = summarised["group"].to_numpy(str)
        components = principal_components(standardised(values.to_numpy()))
        accuracy[name] = neighbour_accuracy(components, target, recording)
    if clips["label"].nunique() > 1 and accuracy:
        ranked = pd.Series(accuracy, name="neighbour_accuracy").rename_axis("feature")
        ranked = ranked.sort_values(ascending=False, kind="stable")
        writer.submit("separability", accuracy=ranked)
        tables["separability"] = ranked.reset_index()
    return tables


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
