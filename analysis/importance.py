"""Which features matter: tests and intervals by source recording of what `make importance` has measured.

A feature's numbers (`contributions` in results/importance.py) are means over clips, so each is tested as the
difference between two runs is: by sign flips of source recordings, all features of one number as a family
(maxT), with the interval that inverts the test. Log probability decides; accuracy is shown beside it.

Conventions: N clips, G recordings, F features, K classes; gains (N, F) in nats, or in shares correct.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.figures import FigureWriter
from analysis.significance import DRAWS, LEVEL, sign_flip_tests
from results.bootstrap import fold_weights, recording_sums
from results.importance import EXACT, ImportanceFolder, contributions
from results.scores import Floats

MEASURES = ("shapley", "alone", "lost", "added")


def find_importance(runs: Path, dataset: str) -> list[ImportanceFolder]:
    """The importance folders of a dataset, the one written last first."""
    files = sorted(
        (runs / dataset).glob("importance-*/importance.json"), key=lambda file: file.stat().st_mtime
    )
    return [ImportanceFolder(file.parent) for file in reversed(files)]


def gain_tests(
    gains: Floats, groups: NDArray[np.generic], folds: NDArray[np.intp], draws: int = DRAWS
) -> pd.DataFrame:
    """mean, low, high and p of each column of gains (N, F): means over folds, corrected for all columns.

    NaN for a column of NaN.
    """
    known, weights = np.isfinite(gains).all(axis=0), fold_weights(folds)[:, None]
    sums, shares = recording_sums(gains[:, known] * weights, groups), recording_sums(weights, groups)[:, 0]
    tests = sign_flip_tests(sums, shares, LEVEL, draws=draws)
    table = np.full((gains.shape[1], 4), np.nan)
    table[known] = np.column_stack([sums.sum(axis=0), tests.interval, tests.p])
    return pd.DataFrame(table, columns=["mean", "low", "high", "p"])


def importance_table(folder: ImportanceFolder) -> pd.DataFrame:
    """A row a feature and number: feature, measure, mean, low, high, p (in nats), points of accuracy."""
    clips, features, orders = folder.clips, folder.features, folder.permutations
    groups, folds = clips["group"].to_numpy(), clips["fold"].to_numpy()
    gains = contributions(folder.values(), len(features), orders)
    hits = contributions(folder.values("correct"), len(features), orders)
    weights = fold_weights(folds)
    parts = []
    for measure in MEASURES:
        part = gain_tests(gains[measure], groups, folds).assign(points=100 * weights @ hits[measure])
        part.insert(0, "measure", measure)
        part.insert(0, "feature", features)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def class_table(folder: ImportanceFolder) -> pd.DataFrame:
    """A row a class and feature: class, feature, mean Shapley value in nats, p corrected for all of them."""
    clips, features = folder.clips, folder.features
    gains = contributions(folder.values(), len(features), folder.permutations)["shapley"]
    classes, number = np.unique(clips["target"], return_inverse=True)
    of_class = (number[:, None] == np.arange(len(classes))) / np.bincount(number)  # (N, K): a mean over clips
    cells = (of_class[:, :, None] * gains[:, None, :]).reshape(len(clips), -1)  # (N, K * F)
    sums = recording_sums(cells, clips["group"].to_numpy())
    p = sign_flip_tests(sums, np.full(len(sums), 1 / len(sums)), LEVEL).p
    index = pd.MultiIndex.from_product([classes, features], names=["class", "feature"])
    return pd.DataFrame({"mean": sums.sum(axis=0), "p": p}, index=index).reset_index()


def linear_cka(statistics: Sequence[Floats]) -> Floats:
    """(F, F) linear centred kernel alignment of features' statistics (N, D), each column standardised.

    1 for features that say the same up to rotation and scale (Kornblith et al. 2019).
    """
    kernels = []
    for columns in statistics:
        spread = columns.std(axis=0)
        standard = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)
        kernel = (standard @ standard.T).ravel()
        kernels.append(kernel / max(float(np.linalg.norm(kernel)), np.finfo(float).tiny))
    return np.stack(kernels) @ np.stack(kernels).T


def best_by_size(folder: ImportanceFolder) -> pd.DataFrame:
    """A row a size of up to EXACT features: size, features, accuracy, seconds of extraction a clip.

    Each fold's set is the best on the other folds, scored on that fold; `features` names the best on all.
    """
    names, folds = folder.features, folder.clips["fold"].to_numpy()
    if len(names) > EXACT:
        return pd.DataFrame(columns=["size", "features", "accuracy", "seconds"])
    values, hits, rows = folder.values(), folder.values("correct"), []
    weights = fold_weights(folds)

    def best(subsets: Sequence[int], clips: NDArray[np.bool_]) -> int:
        return max(subsets, key=lambda subset: values[subset][clips].mean())

    for size in range(1, len(names) + 1):
        subsets = [subset for subset in values if subset.bit_count() == size]
        correct = np.zeros(len(folds))
        for fold in np.unique(folds):
            correct[folds == fold] = hits[best(subsets, folds != fold)][folds == fold]
        overall = best(subsets, folds > -1)
        chosen = [name for place, name in enumerate(names) if overall >> place & 1]
        seconds = [folder.config["extraction"][name].get("seconds", np.nan) for name in chosen]
        cost = sum(seconds) / len(folds)
        rows.append(
            {"size": size, "features": "+".join(chosen), "accuracy": weights @ correct, "seconds": cost}
        )
    return pd.DataFrame(rows)


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """Those of a report, by name."""
    made = {
        "importance": importance_table(folder),
        "importance_by_class": class_table(folder),
        "importance_sets": best_by_size(folder),
    }
    return {name: table for name, table in made.items() if len(table)}


def most_important(table: pd.DataFrame, number: int = 2) -> tuple[str, ...]:
    """The features of the largest significant Shapley values."""
    clear = table[(table["measure"] == "shapley") & (table["p"] < LEVEL) & (table["mean"] > 0)]
    return tuple(clear.nlargest(number, "mean")["feature"])


def submit_importance(writer: FigureWriter, tables: dict[str, pd.DataFrame]) -> None:
    """The two figures of a report."""
    shares = tables["importance"].query("measure == 'shapley'")
    writer.submit(
        "importance",
        names=shares["feature"].tolist(),
        estimate=shares["mean"].to_numpy(),
        low=shares["low"].to_numpy(),
        high=shares["high"].to_numpy(),
        filled=(shares["p"] < LEVEL).to_numpy(),
    )
    cells = tables["importance_by_class"].pivot_table(["mean", "p"], "class", "feature", sort=False)
    writer.submit(
        "importance_by_class",
        classes=cells.index.tolist(),
        features=cells["mean"].columns.tolist(),
        shares=cells["mean"].to_numpy(),
        significant=(cells["p"] < LEVEL).to_numpy(),
    )
