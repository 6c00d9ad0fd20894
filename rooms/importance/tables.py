"""The importance of features: tests and intervals over source recordings for the scores
of `make importance`.

Three measures are means over clips, in shares of the score: `alone`, the gain of one
feature above chance; `lost`, the loss without it; `added`, the gain beside the base.
They are tested like differences between two runs: by sign flips of source recordings,
all features of one measure as a family (maxT); the interval inverts the test.

A set that is called as good as all features is chosen among many, which flatters it.
So each fold's set is chosen on the other folds, all folds have to choose the same one,
and the words follow the upper end of the loss's interval, not the loss.

Conventions: N clips, F features, K classes.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.significance import FAMILY_LEVEL, mean_tests
from featurestack.rooms.importance.folder import NONE, ImportanceFolder
from featurestack.scores.metrics import Floats, Ints

MEASURES = ("alone", "lost", "added")
# least share of all features' gain above chance that a set as good as all has
ENOUGH = 0.95


def gain_tests(
    gains: Floats, groups: NDArray[np.generic], unit: float | None = 1.0
) -> pd.DataFrame:
    """Mean, low, high, p and significant for each column of `gains` (N, F).

    p and interval are corrected for all columns. With too few recordings there is no
    interval. `unit` is a clip's largest possible gain, None if it has no limit.
    """
    numbers = mean_tests(gains, groups, unit=unit).numbers()
    columns = pd.DataFrame(numbers, columns=["mean", "low", "high", "p"])
    columns["significant"] = columns["p"] < FAMILY_LEVEL
    return columns


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """The report's tables by name."""
    return {
        "features": measures_table(folder),
        "classes": classes_table(folder),
        "smaller": smaller_sets(folder),
    }


def gains_of(folder: ImportanceFolder, measure: str) -> pd.DataFrame:
    """(N, F) what each feature gives to each clip; the base is not `added`."""
    scores, config = folder.scores, folder.config
    every = config.column(*config.features)
    gains = {}
    for name in config.features:
        if measure == "alone":
            gains[name] = scores[name] - scores[NONE]
        elif measure == "lost":
            gains[name] = scores[every] - scores[config.without(name)]
        elif name != config.base:
            beside = scores[config.column(config.base, name)]
            gains[name] = beside - scores[config.base]
    return pd.DataFrame(gains)


def measures_table(folder: ImportanceFolder) -> pd.DataFrame:
    """One row for each feature and measure: the score of the set in question (the
    feature alone, all without it, the base with it), mean, low, high, p, significant.
    """
    config = folder.config
    groups = folder.scores["group"].to_numpy()
    parts = []
    for measure in MEASURES:
        gains = gains_of(folder, measure)
        sets = {
            "alone": list(gains),
            "lost": [config.without(name) for name in gains],
            "added": [config.column(config.base, name) for name in gains],
        }
        named = pd.DataFrame({"feature": list(gains), "measure": measure})
        named["score"] = folder.scores[sets[measure]].mean().to_numpy()
        parts.append(named.join(gain_tests(gains.to_numpy(), groups)))
    return pd.concat(parts, ignore_index=True)


def classes_table(folder: ImportanceFolder) -> pd.DataFrame:
    """By class, feature and measure: mean over the class's clips, interval and p,
    corrected for all of a measure.
    """
    of_class = folder.labels.to_numpy()  # (N, K)
    weights = of_class / of_class.mean(axis=0)
    groups = folder.scores["group"].to_numpy()
    parts = []
    for measure in MEASURES:
        gains = gains_of(folder, measure)
        cells = weights[:, :, None] * gains.to_numpy()[:, None, :]  # (N, K, F)
        table = gain_tests(cells.reshape(len(cells), -1), groups, None)
        table.index = pd.MultiIndex.from_product(
            [folder.labels.columns, gains.columns], names=["class", "feature"]
        )
        parts.append(table.reset_index().assign(measure=measure))
    return pd.concat(parts, ignore_index=True)


def selected_on_others(criterion: Floats) -> Ints:
    """(..., F) for each fold, the run with the best `criterion` (..., R, F) on the
    other folds; the first run wins a tie, so their order must not come from a score.
    """
    others = criterion.sum(axis=-1, keepdims=True) - criterion
    # Rounding keeps equal sums equal.
    chosen: Ints = np.argmax(np.round(others, 12), axis=-2)
    return chosen


def smaller_sets(folder: ImportanceFolder) -> pd.DataFrame:
    """The best fitted set of each size below all, the smallest first: features, its
    score, `of` (the score of all), lost with its interval, and its verdict.

    A set is `as good` if all folds choose it and the interval of the loss ends below
    the share of the gain above chance that ENOUGH lets go; `worse` if it begins above
    0; else `open`. The table is empty if all features together are not clearly better
    than none, or if they were composed on these folds.
    """
    config, scores = folder.config, folder.scores
    every = scores[config.column(*config.features)].to_numpy()
    groups = scores["group"].to_numpy()
    gain = gain_tests((every - scores[NONE].to_numpy())[:, None], groups).iloc[0]
    if config.composed_from or not gain["significant"]:
        return pd.DataFrame(columns=["features", "score", "of", "lost", "verdict"])
    _, fold = np.unique(scores["fold"], return_inverse=True)
    of_fold = np.eye(fold.max() + 1)[fold] / len(fold)  # (N, folds)
    rows, hits = [], []
    for size in sorted({len(fit) for fit in config.sets.values()} - {0}):
        if size == len(config.features):
            continue
        names = [name for name, fit in config.sets.items() if len(fit) == size]
        by_fold = scores[names].to_numpy().T @ of_fold
        chosen = selected_on_others(by_fold)
        best = int(by_fold.sum(axis=1).argmax())
        rows.append((names[best], bool((chosen == best).all())))
        hits.append(scores[names].to_numpy()[np.arange(len(fold)), chosen[fold]])
    lost = every[:, None] - np.stack(hits, axis=1)
    tests = gain_tests(lost, groups)
    allowed = (1 - ENOUGH) * gain["mean"]
    table = pd.DataFrame(rows, columns=["features", "agreed"])
    table["score"] = [column.mean() for column in hits]
    table["of"] = every.mean()
    table["lost"] = tests["mean"]
    table[["low", "high"]] = tests[["low", "high"]]
    table["verdict"] = np.select(
        [table["agreed"] & (tests["high"] <= allowed), tests["low"] > 0],
        ["as good", "worse"],
        "open",
    )
    table["enough"] = tests["mean"] <= allowed
    return table
