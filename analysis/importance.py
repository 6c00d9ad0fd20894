"""The importance of features: tests and intervals over source recordings for the scores
of `make importance`.

Each feature has several measures (`ImportanceFolder.contributions`), which are averaged
over folds. Measures are tested like differences between two runs: by sign flips of
source recordings, at the level of a report's families. All features of one measure are
a family (maxT), and the interval inverts the test. The tests use log probability;
accuracy (mAP for tags) is shown beside it, with intervals of its own.

Which features to keep is said by `kept_set`, not by shares: two features with the same
information have large shares both.

Conventions: N clips, G recordings, F features, K classes; gains (N, F) in nats, in the
share of clips correct, or in mAP.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.ranking import nested_selection, selected_on_others
from featurestack.analysis.significance import FAMILY_LEVEL, sign_flip_tests
from featurestack.results.bootstrap import (
    accuracy_interval,
    fold_weights,
    recording_sums,
)
from featurestack.results.importance_folder import PARTS, Fit, ImportanceFolder
from featurestack.results.scores import Floats
from featurestack.results.shapley import NONE, interactions

SMALLEST_PART = 8  # recordings in the smallest part of a learning curve
ENOUGH = 0.95  # share of all features' gain above chance that a kept set has
KEPT_COLUMNS = ["features", "without", "accuracy", "of", "folds"]
KEPT_COLUMNS += ["lost", "low", "high"]
CURVE_COLUMNS = ["share", "recordings", "accuracy", "low", "high"]
CURVE_COLUMNS += ["gain", "gain_low", "gain_high"]


def gain_tests(
    gains: Floats, groups: NDArray[np.generic], folds: NDArray[np.intp]
) -> pd.DataFrame:
    """Mean over folds, low, high, p and significant for each column of `gains` (N, F).

    p and interval are corrected for all columns. A column that holds a NaN gets NaN and
    is not significant. With too few recordings there is no interval.
    """
    known = np.isfinite(gains).all(axis=0)
    weights = fold_weights(folds)[:, None]
    sums = recording_sums(gains[:, known] * weights, groups)
    shares = recording_sums(weights, groups)[:, 0]
    tests = sign_flip_tests(sums, shares, FAMILY_LEVEL)
    table = np.full((gains.shape[1], 4), np.nan)
    table[known] = tests.numbers()
    return pd.DataFrame(table, columns=["mean", "low", "high", "p"]).assign(
        significant=table[:, 3] < FAMILY_LEVEL
    )


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """The report's tables by name; `mean` is in nats.

    features    one row for each feature and measure: mean, low, high, p, significant,
                points of accuracy or mAP with their interval (points_low, points_high)
    classes     one row for each class and feature: mean Shapley value, p corrected for
                all rows, significant
    pairs       one row for each cell of the F x F matrix, with similar features side by
                side: cka of their
                statistics, interaction in nats (negative: they are redundant)
    sets        as `best_by_size`
    kept        as `kept_set`
    recordings  as `learning_curve`
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    features = folder.features
    clips = folder.clips
    groups = clips["group"].to_numpy()
    folds = clips["fold"].to_numpy()
    gains = folder.contributions()
    hits = folder.contributions("correct")
    parts = []
    for measure in gains:
        part = gain_tests(gains[measure], groups, folds)
        points = gain_tests(hits[measure], groups, folds)[["mean", "low", "high"]]
        part[["points", "points_low", "points_high"]] = 100 * points
        parts.append(pd.DataFrame({"feature": features, "measure": measure}).join(part))

    classes = folder.labels.columns
    of_class = folder.labels.to_numpy()  # (N, K)
    means = of_class / (fold_weights(folds) @ of_class)
    # (N, K * F)
    cells = (means[:, :, None] * gains["shapley"][:, None, :]).reshape(len(clips), -1)
    index = pd.MultiIndex.from_product([classes, features], names=["class", "feature"])
    by_class = gain_tests(cells, groups, folds)[["mean", "p", "significant"]].set_axis(
        index
    )

    # Clustering by CKA, with average linkage, puts similar features side by side.
    cka = folder.redundancy
    distances = np.clip(1 - cka, 0, 1)[np.triu_indices(len(features), 1)]
    order = leaves_list(linkage(distances, "average", optimal_ordering=True))
    ordered = [features[place] for place in order]
    index = pd.MultiIndex.from_product([ordered, ordered], names=["feature", "other"])
    columns = {"cka": cka, "interaction": interactions(folder.values(), features)}
    pairs = {
        name: values[np.ix_(order, order)].ravel() for name, values in columns.items()
    }
    sets = best_by_size(folder)
    return {
        "features": pd.concat(parts, ignore_index=True),
        "classes": by_class.reset_index(),
        "pairs": pd.DataFrame(pairs, index).reset_index(),
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
    sets = {"sets": tables["sets"], "score": score}
    shares = tables["features"].query("measure == 'shapley'")
    columns = {"feature": "name", "mean": "estimate", "significant": "filled"}
    if shares["low"].notna().any():
        writer.submit("importance", intervals=shares.rename(columns=columns))
    writer.submit("importance_by_class", classes=tables["classes"])
    writer.submit("importance_redundancy", pairs=tables["pairs"])
    if len(tables["recordings"]):
        writer.submit(
            "importance_accuracy", recordings=tables["recordings"], group=group, **sets
        )
    else:
        writer.submit("importance_sets", **sets)


def best_by_size(folder: ImportanceFolder) -> pd.DataFrame:
    """One row for each size of set: features, accuracy, milliseconds a clip, share of
    the full set's gain.

    For each fold, the fitted set with the best log probability on the other folds is
    scored on that fold; `features` and `milliseconds` are those of the set with the
    best mean over all folds.
    """
    names = folder.features
    folds = folder.clips["fold"].to_numpy()
    values = folder.values()
    hits = folder.values("correct")
    rows = []
    # (N, folds)
    of_fold = (folds[:, None] == np.unique(folds)) / np.unique(
        folds, return_counts=True
    )[1]
    for size in range(1, len(names) + 1):
        subsets = [subset for subset in values if len(subset) == size]
        scores, worth = (
            np.stack([of_clips[subset] for subset in subsets]) @ of_fold
            for of_clips in (hits, values)
        )
        accuracy = nested_selection(scores, worth)
        best = subsets[int(worth.mean(axis=1).argmax())]
        chosen = [name for name in names if name in best]
        seconds = np.array(
            [folder.config.extraction[name].seconds for name in chosen], float
        ).sum()
        rows.append(
            (size, "+".join(chosen), accuracy, 1000 * seconds / folder.config.clips)
        )
    table = pd.DataFrame(rows, columns=["size", "features", "accuracy", "milliseconds"])
    gain = table["accuracy"] - (hits[NONE] @ of_fold).mean()
    return table.assign(share=gain / (gain.iloc[-1] if gain.iloc[-1] > 0 else np.nan))


def kept_set(folder: ImportanceFolder, sets: pd.DataFrame) -> pd.DataFrame:
    """What the smallest set with ENOUGH of all features' gain keeps, and what is lost
    without each of its features.

    sets  as `best_by_size`

    The first row is the set: features, accuracy of sets of its size, each selected on
    the other folds; `of`, the accuracy of all features; `folds`, the share of the folds
    that select this set; lost, what it has less than all. The others have one of its
    features as `without`, the accuracy of the set without it, `of` the accuracy of the
    set, and lost; the largest loss is first if the intervals part, otherwise they have
    the order of the features. All losses are one family, with intervals (low, high). A
    feature is left out if the set without it was not fitted. The table is empty if no
    set has enough, or if all features together are not clearly better than none.
    """
    groups = folder.clips["group"].to_numpy()
    folds = folder.clips["fold"].to_numpy()
    values = folder.values()
    hits = folder.values("correct")
    whole = hits[frozenset(folder.features)]
    enough = sets[sets["share"] >= ENOUGH]
    gain = gain_tests((whole - hits[NONE])[:, None], groups, folds)
    if enough.empty or not gain["significant"].all():
        return pd.DataFrame(columns=KEPT_COLUMNS)
    size = enough["size"].iloc[0]
    subsets = [subset for subset in values if len(subset) == size]
    names, place = np.unique(folds, return_inverse=True)
    of_fold = np.eye(len(names))[place] / np.bincount(place)  # (N, folds)
    worth = np.stack([values[subset] for subset in subsets]) @ of_fold
    best = int(worth.mean(axis=1).argmax())
    chosen = subsets[best]
    by_fold = selected_on_others(worth)
    cross_fitted = np.stack([hits[subset] for subset in subsets])
    cross_fitted = cross_fitted[by_fold[place], np.arange(len(folds))]
    columns = [(whole, cross_fitted)]
    members = [name for name in folder.features if name in chosen]
    left_out = [name for name in members if size > 1 and chosen - {name} in hits]
    columns += [(hits[chosen], hits[chosen - {name}]) for name in left_out]
    lost = np.stack([more - less for more, less in columns], axis=1)
    weights = fold_weights(folds)
    losses = gain_tests(lost, groups, folds)
    table = pd.DataFrame(
        {
            "features": "+".join(members),
            "without": ["", *left_out],
            "accuracy": [weights @ less for _, less in columns],
            "of": [weights @ more for more, _ in columns],
            "folds": [(by_fold == best).mean(), *(np.nan for _ in left_out)],
            "lost": losses["mean"],
            "low": losses["low"],
            "high": losses["high"],
        },
        columns=KEPT_COLUMNS,
    )
    by_loss = table[1:].sort_values("lost", ascending=False)
    part = by_loss["low"].to_numpy()[:-1] > by_loss["high"].to_numpy()[1:]
    if not part.all():
        return table
    return pd.concat([table[:1], by_loss], ignore_index=True)


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
    weights = fold_weights(clips["fold"].to_numpy())
    groups = clips["group"].to_numpy()
    interval = accuracy_interval(correct, groups, weights)
    table = pd.DataFrame(
        {
            "share": [*PARTS.values(), 1.0],
            "recordings": trained_on,
            "accuracy": weights @ correct,
            "low": interval[:, 0],
            "high": interval[:, 1],
        }
    )
    doubled = weights * (correct[:, -1] - correct[:, -2])
    by_recording = recording_sums(doubled[:, None], groups)
    shares = recording_sums(weights[:, None], groups)[:, 0]
    gain, low, high, _ = sign_flip_tests(by_recording, shares, FAMILY_LEVEL).numbers()[
        0
    ]
    table.loc[len(table) - 1, ["gain", "gain_low", "gain_high"]] = gain, low, high
    return table
