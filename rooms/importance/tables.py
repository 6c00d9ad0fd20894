"""The importance of features: tests and intervals over source recordings for the scores
of `make importance`.

Each feature has several measures (`ImportanceFolder.contributions`), means over
clips. Measures are tested like differences between two runs: by sign flips of
source recordings, at the level of a report's families. All features of one measure are
a family (maxT), and the interval inverts the test. The tests use log probability;
accuracy (mAP for tags) is shown beside it, with intervals of its own.

Which features to keep is said by `kept_set`, not by shares: two features with the same
information have large shares both.

Conventions: N clips, G recordings, F features, K classes; gains (N, F) in nats, in the
share of clips correct, or in mAP.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.nested import nested_selection, selected_on_others
from featurestack.analysis.runs import Problem
from featurestack.analysis.significance import FAMILY_LEVEL, sign_flip_tests
from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import make_command
from featurestack.results.bootstrap import accuracy_interval, recording_sums
from featurestack.results.scores import Floats
from featurestack.rooms.importance.folder import (
    PARTS,
    Fit,
    ImportanceFolder,
    find_importance,
)
from featurestack.rooms.importance.shapley import NONE, interactions

SMALLEST_PART = 8  # recordings in the smallest part of a learning curve
ENOUGH = 0.95  # share of all features' gain above chance that a kept set has
KEPT_COLUMNS = [
    "features",
    "without",
    "accuracy",
    "of",
    "folds",
    "lost",
    "low",
    "high",
    "clear",
]
CURVE_COLUMNS = [
    "share",
    "recordings",
    "accuracy",
    "low",
    "high",
    "gain",
    "gain_low",
    "gain_high",
]


def gain_tests(
    gains: Floats,
    groups: NDArray[np.generic],
    unit: float | None = None,
) -> pd.DataFrame:
    """Mean, low, high, p and significant for each column of `gains` (N, F).

    p and interval are corrected for all columns. A column that holds a NaN gets NaN and
    is not significant. With too few recordings there is no interval. `unit` is a clip's
    largest possible gain: 1 for accuracy, None for log probability.
    """
    known = np.isfinite(gains).all(axis=0)
    sums = recording_sums(gains[:, known], groups) / len(gains)
    _, clips = np.unique(groups, return_counts=True)
    shares = clips / len(gains)
    tests = sign_flip_tests(sums, shares, FAMILY_LEVEL, unit=unit)
    table = np.full((gains.shape[1], 4), np.nan)
    table[known] = tests.numbers()
    columns = pd.DataFrame(table, columns=["mean", "low", "high", "p"])
    columns["significant"] = columns["p"] < FAMILY_LEVEL
    return columns


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """The report's tables by name; `mean` is in nats.

    features    one row for each feature and measure: mean, low, high, p, significant,
                points of accuracy or mAP with their interval (points_low, points_high)
    classes     one row for each class and feature: mean Shapley value, p corrected for
                all rows, significant
    pairs       one row for each cell of the F x F matrix, with similar features side by
                side: cka of their statistics, interaction in nats (negative: they are
                redundant)
    sets        as `best_by_size`
    kept        as `kept_set`
    recordings  as `learning_curve`
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    features = folder.features
    clips = folder.clips
    groups = clips["group"].to_numpy()
    gains = folder.contributions()
    hits = folder.contributions("correct")
    parts = []
    for measure in gains:
        nats = gain_tests(gains[measure], groups)
        points = gain_tests(hits[measure], groups, 1.0)
        ends = 100 * points[["mean", "low", "high"]]
        nats[["points", "points_low", "points_high"]] = ends
        named = pd.DataFrame({"feature": features, "measure": measure})
        parts.append(named.join(nats))

    classes = folder.labels.columns
    of_class = folder.labels.to_numpy()  # (N, K)
    weights = of_class / of_class.mean(axis=0)
    shapley = gains["shapley"]  # (N, F)
    cells = weights[:, :, None] * shapley[:, None, :]  # (N, K, F)
    tested = gain_tests(cells.reshape(len(clips), -1), groups)
    by_class = tested[["mean", "p", "significant"]]
    by_class.index = pd.MultiIndex.from_product(
        [classes, features],
        names=["class", "feature"],
    )

    # Clustering by CKA, with average linkage, puts similar features side by side.
    cka = folder.redundancy
    distances = np.clip(1 - cka, 0, 1)
    above_diagonal = np.triu_indices(len(features), 1)
    tree = linkage(distances[above_diagonal], "average", optimal_ordering=True)
    order = leaves_list(tree)
    ordered = [features[place] for place in order]
    interaction = interactions(folder.values(), features)
    cells_in_order = np.ix_(order, order)
    pairs = pd.DataFrame(
        {
            "cka": cka[cells_in_order].ravel(),
            "interaction": interaction[cells_in_order].ravel(),
        },
        pd.MultiIndex.from_product([ordered, ordered], names=["feature", "other"]),
    )
    sets = best_by_size(folder)
    return {
        "features": pd.concat(parts, ignore_index=True),
        "classes": by_class.reset_index(),
        "pairs": pairs.reset_index(),
        "sets": sets,
        "kept": kept_set(folder, sets),
        "recordings": learning_curve(folder),
    }


def submit_importance(
    writer: FigureWriter,
    tables: Mapping[str, pd.DataFrame],
    score: str,
    group: str,
) -> None:
    """Submit the figures of `importance_tables`; `group` is the dataset's word for a
    recording.
    """
    shares = tables["features"].query("measure == 'shapley'")
    columns = {
        "feature": "name",
        "mean": "estimate",
        "significant": "filled",
    }
    if shares["low"].notna().any():
        intervals = shares.rename(columns=columns)
        writer.submit("importance", intervals=intervals)
    writer.submit("importance_by_class", classes=tables["classes"])
    writer.submit("importance_redundancy", pairs=tables["pairs"])
    writer.submit("importance_sets", sets=tables["sets"], score=score)
    if len(tables["recordings"]):
        of_score = {"mAP": "map", "accuracy": "accuracy"}.get(score, "event_f1")
        curve = tables["recordings"].rename(columns={"accuracy": of_score})
        curve["features"] = "all features"
        writer.submit("curve", "importance_recordings", curve=curve, group=group)


def best_by_size(folder: ImportanceFolder) -> pd.DataFrame:
    """One row for each size of set: features, accuracy, milliseconds a clip, share of
    the full set's gain.

    For each fold, the fitted set with the best log probability on the other folds is
    scored on that fold; `features` and `milliseconds` are those of the set with the
    best mean over all clips.
    """
    names = folder.features
    folds = folder.clips["fold"].to_numpy()
    values = folder.values()
    hits = folder.values("correct")
    rows = []
    of_fold = fold_parts(folds)
    for size in range(1, len(names) + 1):
        subsets = [subset for subset in values if len(subset) == size]
        scores = np.stack([hits[subset] for subset in subsets]) @ of_fold
        worth = np.stack([values[subset] for subset in subsets]) @ of_fold
        accuracy = nested_selection(scores, worth)
        best = subsets[int(worth.sum(axis=1).argmax())]
        chosen = [name for name in names if name in best]
        times = [folder.config.extraction[name].seconds for name in chosen]
        seconds = np.array(times, float).sum()
        milliseconds = 1000 * seconds / folder.config.clips
        rows.append((size, "+".join(chosen), accuracy, milliseconds))
    table = pd.DataFrame(rows, columns=["size", "features", "accuracy", "milliseconds"])
    chance = hits[NONE].mean()
    gain = table["accuracy"] - chance
    gain_of_all = gain.iloc[-1]
    if gain_of_all <= 0:
        gain_of_all = np.nan
    return table.assign(share=gain / gain_of_all)


def fold_parts(folds: NDArray[np.intp]) -> Floats:
    """(N, folds): the matrix that makes values of clips the parts of their mean that
    each fold has.
    """
    numbers, place = np.unique(folds, return_inverse=True)
    return np.eye(len(numbers))[place] / len(folds)


def kept_set(folder: ImportanceFolder, sets: pd.DataFrame) -> pd.DataFrame:
    """The smallest set with ENOUGH of all features' gain: its accuracy, and the loss
    without each of its features.

    sets  as `best_by_size`

    The first row is the set: features, accuracy of sets of its size, each selected on
    the other folds; `of`, the accuracy of all features; `folds`, the share of the folds
    that select this set; lost, how far it is below all. The others have one of its
    features as `without`, the accuracy of the set without it, `of` the accuracy of the
    set, and lost, the largest loss first; `clear` says whether it is clearly smaller
    than the loss before it, by a test of all pairs. All losses are one family, with
    intervals (low, high). A feature is left out if the set without it was not fitted.
    The table is empty if no set has enough, if all features together are not clearly
    better than none, or if the features were composed on these folds.
    """
    if folder.config.composed_from:
        return pd.DataFrame(columns=KEPT_COLUMNS)
    groups = folder.clips["group"].to_numpy()
    folds = folder.clips["fold"].to_numpy()
    values = folder.values()
    hits = folder.values("correct")
    whole = hits[frozenset(folder.features)]
    enough = sets[sets["share"] >= ENOUGH]
    gain = gain_tests((whole - hits[NONE])[:, None], groups)
    if enough.empty or not gain["significant"].all():
        return pd.DataFrame(columns=KEPT_COLUMNS)
    size = enough["size"].iloc[0]
    subsets = [subset for subset in values if len(subset) == size]
    worth = np.stack([values[subset] for subset in subsets]) @ fold_parts(folds)
    best = int(worth.sum(axis=1).argmax())
    chosen = subsets[best]
    by_fold = selected_on_others(worth)
    _, place = np.unique(folds, return_inverse=True)
    of_subsets = np.stack([hits[subset] for subset in subsets])
    cross_fitted = of_subsets[by_fold[place], np.arange(len(folds))]
    members = [name for name in folder.features if name in chosen]
    left_out = [name for name in members if size > 1 and chosen - {name} in hits]
    # The rows' hits (N,): first of the larger set, then of the smaller one.
    more = [whole, *(hits[chosen] for _ in left_out)]
    less = [cross_fitted, *(hits[chosen - {name}] for name in left_out)]
    lost = np.stack(more, axis=1) - np.stack(less, axis=1)
    losses = gain_tests(lost, groups, 1.0)
    table = pd.DataFrame(
        {
            "features": "+".join(members),
            "without": ["", *left_out],
            "accuracy": [column.mean() for column in less],
            "of": [column.mean() for column in more],
            "folds": [(by_fold == best).mean(), *(np.nan for _ in left_out)],
            "lost": losses["mean"],
            "low": losses["low"],
            "high": losses["high"],
            "clear": False,
        },
        columns=KEPT_COLUMNS,
    )
    order = np.argsort(-table["lost"].to_numpy()[1:], kind="stable") + 1
    pairs = [*combinations(order, 2)]
    if pairs:
        clear = clearly_different(lost, pairs, groups)
        table.loc[order[1:], "clear"] = [clear[pair] for pair in pairwise(order)]
    return table.loc[[0, *order]].reset_index(drop=True)


def clearly_different(
    lost: Floats,
    pairs: Sequence[tuple[int, int]],
    groups: NDArray[np.object_],
) -> dict[tuple[int, int], bool]:
    """Whether the means of two columns of `lost` (N, L) differ, for each pair of them,
    tested as one family.
    """
    first, second = zip(*pairs)
    apart = lost[:, first] - lost[:, second]
    tests = gain_tests(apart / 2, groups, 1.0)
    return dict(zip(pairs, tests["significant"]))


def learning_curve(folder: ImportanceFolder) -> pd.DataFrame:
    """One row for each part of the training recordings: share, recordings, accuracy of
    all features and its interval (low, high).

    The last row also has `gain`, what the last doubling of the recordings brought, and
    its interval (gain_low, gain_high) by sign flips. The table is empty if the smallest
    part has fewer than SMALLEST_PART, or if two parts have equally many.
    """
    clips = folder.clips
    trained_on = np.array(folder.config.recordings)
    distinct = len(np.unique(trained_on)) == len(trained_on)
    if trained_on.min() < SMALLEST_PART or not distinct:
        return pd.DataFrame(columns=CURVE_COLUMNS, dtype=float)
    every = frozenset(folder.features)
    fits = [*(Fit(every, part) for part in PARTS), Fit(every)]
    correct = np.stack([folder.scores[fit][1] for fit in fits], axis=1)  # (N, 4)
    groups = clips["group"].to_numpy()
    interval = accuracy_interval(correct, groups, np.ones(len(clips)))
    table = pd.DataFrame(
        {
            "share": [*PARTS.values(), 1.0],
            "recordings": trained_on,
            "accuracy": correct.mean(axis=0),
            "low": interval[:, 0],
            "high": interval[:, 1],
        }
    )
    doubled = gain_tests(correct[:, [-1]] - correct[:, [-2]], groups, 1.0)
    last = len(table) - 1
    ends = doubled.loc[0, ["mean", "low", "high"]].to_numpy()
    table.loc[last, ["gain", "gain_low", "gain_high"]] = ends
    return table


def importance_calls(
    runs: Path,
    dataset: str,
) -> tuple[list[ImportanceFolder], list[Problem]]:
    """The finished calls of `make importance`, the one with most classes, features and
    the latest first; and a problem for each other call.
    """
    calls = {}  # folder -> sort key
    problems = []
    for folder in find_importance(runs, dataset):
        try:
            lacking = folder.lacking
        except RequestError as error:
            problems.append(Problem(folder.path.name, str(error), "damaged"))
            continue
        if lacking:
            remove = make_command("train remove", f"RUN={folder.path}")
            text = (
                f"a call of importance is unfinished, {counted(len(lacking), 'fit')}"
                f" left: repeat it, or remove it with {remove}"
            )
            problems.append(Problem(folder.path.name, text))
        else:
            time = (folder.path / "importance.json").stat().st_mtime
            calls[folder] = folder.labels.shape[1], len(folder.features), time
    return sorted(calls, key=calls.__getitem__, reverse=True), problems
