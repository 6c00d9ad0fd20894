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

from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.nested import selected_on_others
from featurestack.analysis.runs import Problem
from featurestack.analysis.significance import FAMILY_LEVEL, mean_tests
from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import make_command
from featurestack.rooms.importance.folder import NONE, ImportanceFolder, find_importance
from featurestack.scores.metrics import Floats, largest_first

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


def gain_tests(
    gains: Floats, groups: NDArray[np.generic], unit: float | None = None
) -> pd.DataFrame:
    """Mean, low, high, p and significant for each column of `gains` (N, F).

    p and interval are corrected for all columns. A column that holds a NaN gets NaN and
    is not significant. With too few recordings there is no interval. `unit` is a clip's
    largest possible gain: 1 for accuracy, None for log probability.
    """
    known = np.isfinite(gains).all(axis=0)
    tests = mean_tests(gains[:, known], groups, unit=unit)
    table = np.full((gains.shape[1], 4), np.nan)
    table[known] = tests.numbers()
    columns = pd.DataFrame(table, columns=["mean", "low", "high", "p"])
    columns["significant"] = columns["p"] < FAMILY_LEVEL
    return columns


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """The report's tables by name; `mean` is in nats."""
    gains = folder.contributions()
    sets = best_by_size(folder)
    return {
        "features": measures_table(folder, gains),
        "classes": classes_table(folder, gains["shapley"]),
        "sets": sets,
        "kept": kept_set(folder, sets),
    }


def measures_table(
    folder: ImportanceFolder, gains: Mapping[str, Floats]
) -> pd.DataFrame:
    """One row for each feature and measure: mean, low, high, p, significant, points of
    accuracy or mAP with their interval (points_low, points_high).
    """
    groups = folder.clips["group"].to_numpy()
    hits = folder.contributions("correct")
    parts = []
    for measure in gains:
        nats = gain_tests(gains[measure], groups)
        points = gain_tests(hits[measure], groups, 1.0)
        ends = 100 * points[["mean", "low", "high"]]
        nats[["points", "points_low", "points_high"]] = ends
        named = pd.DataFrame({"feature": folder.features, "measure": measure})
        parts.append(named.join(nats))
    return pd.concat(parts, ignore_index=True)


def classes_table(folder: ImportanceFolder, shapley: Floats) -> pd.DataFrame:
    """By class and feature: mean Shapley value, p corrected for all."""
    of_class = folder.labels.to_numpy()  # (N, K)
    weights = of_class / of_class.mean(axis=0)
    cells = weights[:, :, None] * shapley[:, None, :]  # (N, K, F)
    groups = folder.clips["group"].to_numpy()
    tested = gain_tests(cells.reshape(len(cells), -1), groups)
    table = tested[["mean", "p", "significant"]]
    table.index = pd.MultiIndex.from_product(
        [folder.labels.columns, folder.features], names=["class", "feature"]
    )
    return table.reset_index()


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


def nested_selection(scores: Floats, criterion: Floats) -> float:
    """The sum over folds of the score of the set that is best on the other folds; NaN
    for one fold.

    `scores` (R, F) are each fold's part of the score; the best set is chosen by
    `criterion` (R, F), and the first set wins a tie. The highest of many test scores is
    optimistic; this one is not.
    """
    if scores.shape[1] < 2:
        return np.nan
    chosen = selected_on_others(criterion)
    folds = np.arange(scores.shape[1])
    return float(scores[chosen, folds].sum())


def fold_parts(folds: NDArray[np.intp]) -> Floats:
    """(N, folds): makes values of clips each fold's part of their mean."""
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
    set, and lost, the largest loss first. All losses are one family, with intervals
    (low, high). A feature is left out if the set without it was not fitted.
    The table is empty if no set has enough, if all features together are not clearly
    better than none, or if the features were composed on these folds.
    """
    groups = folder.clips["group"].to_numpy()
    folds = folder.clips["fold"].to_numpy()
    values = folder.values()
    hits = folder.values("correct")
    whole = hits[frozenset(folder.features)]
    enough = sets[sets["share"] >= ENOUGH]
    gain = gain_tests((whole - hits[NONE])[:, None], groups)
    useful = gain["significant"].all() and not enough.empty
    if folder.config.composed_from or not useful:
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
        }
    )
    return in_order(table, lost, groups)


def in_order(
    table: pd.DataFrame, lost: Floats, groups: NDArray[np.object_]
) -> pd.DataFrame:
    """The set, then its features by their loss. `clear` says whether a loss is clearly
    smaller than the one before it, by a test of all pairs as one family.
    """
    order = largest_first(table["lost"].to_numpy()[1:]) + 1
    pairs = [*combinations(order, 2)]
    if pairs:
        first, second = zip(*pairs)
        apart = lost[:, first] - lost[:, second]
        tests = gain_tests(apart / 2, groups, 1.0)
        clear = dict(zip(pairs, tests["significant"]))
        table.loc[order[1:], "clear"] = [clear[pair] for pair in pairwise(order)]
    return table.loc[[0, *order]].reset_index(drop=True)


def importance_calls(
    runs: Path, dataset: str
) -> tuple[list[ImportanceFolder], list[Problem]]:
    """The finished calls, the largest first; a problem for each other one."""
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
            calls[folder] = len(folder.features), time
    return sorted(calls, key=calls.__getitem__, reverse=True), problems
