"""The folder of `make importance`: the last call, which a report reads, and the tests
and intervals of its scores. No torch.

    runs/<dataset>/importance/
        importance.json   configuration, written last
        scores.csv        one row for each test clip: clip_id, group, fold, target, then
                          one column for each set of features that was fitted

A clip's part of the score is 1 if its class was predicted, else 0; with tags it is the
clip's part of mAP. Averaged over the clips, the parts give the score. The column `none`
has no feature: the commonest class, or the labels' shares with tags.

Three measures are means over clips, in shares of the score: `alone`, the gain of one
feature above chance; `lost`, the loss without it; `added`, the gain beside the base.
They are tested like differences between two runs: by sign flips of source recordings,
all features of one measure as a family (maxT); the interval inverts the test.

A set that is called as good as all features is chosen among many, which flatters it.
So each fold's set is chosen on the other folds, all folds have to choose the same one,
and the words follow the upper end of the loss's interval, not the loss.

Conventions: N clips, F features, K classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.significance import FAMILY_LEVEL, mean_tests
from featurestack.commandline.quantities import percent, points
from featurestack.commandline.tables import text_table
from featurestack.results.config import (
    Record,
    SoundClass,
    read_config,
)
from featurestack.results.run_folder import damage_named
from featurestack.scores.metrics import Floats, Ints
from featurestack.scores.tasks.base import labels_of
from featurestack.scores.tasks.registry import task_of

FOLDER = "importance"
NONE = "none"
CLIP_COLUMNS = {"clip_id": str, "group": str, "fold": int, "target": str}
BASE = "mel"
MEASURES = ("alone", "lost", "added")
# least share of all features' gain above chance that a set as good as all has
ENOUGH = 0.95
REMEDY = "remove the folder and measure it again"


class ImportanceConfig(Record):
    """The content of importance.json."""

    dataset: str
    hash: str  # of the features, their values, the clips, folds and options
    synthetic: bool
    model: str
    task: str
    classes: tuple[SoundClass, ...]
    features: tuple[str, ...]
    # feature sets of which these are the best by their scores on the tested folds
    composed_from: int = 0

    @property
    def score(self) -> str:
        return task_of(self.task).metric.title

    @property
    def base(self) -> str:
        """The feature that the others are added to: mel, or the first."""
        return BASE if BASE in self.features else self.features[0]

    @property
    def sets(self) -> Mapping[str, tuple[str, ...]]:
        """Column of scores.csv -> the features of the fit: all, each without one, each
        alone, each beside the base.
        """
        features = self.features
        fits = [features]
        fits += [tuple(f for f in features if f != left_out) for left_out in features]
        fits += [(name,) for name in features]
        fits += [(self.base, name) for name in features if name != self.base]
        return {NONE: ()} | {self.column(*fit): fit for fit in fits}

    def column(self, *features: str) -> str:
        """The features of a set, in the order in which they were given."""
        return "+".join(name for name in self.features if name in features)

    def without(self, feature: str) -> str:
        return self.column(*(name for name in self.features if name != feature))


@dataclass(frozen=True)
class ImportanceFolder:
    """The scores of one call."""

    path: Path

    @cached_property
    def config(self) -> ImportanceConfig:
        file = self.path / "importance.json"
        with damage_named(file, REMEDY):
            content = json.loads(file.read_text(encoding="utf-8"))
        return read_config(content, ImportanceConfig, str(file), REMEDY)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """N rows: CLIP_COLUMNS, then a column for each of the config's `sets`."""
        file = self.path / "scores.csv"
        types = CLIP_COLUMNS | dict.fromkeys(self.config.sets, float)
        with damage_named(file, REMEDY):
            return pd.read_csv(
                file, dtype=types, usecols=[*types], keep_default_na=False
            )

    @property
    def labels(self) -> pd.DataFrame:
        """(N, K): whether a test clip has each class that one has."""
        names = [entry.name for entry in self.config.classes]
        labels = labels_of(task_of(self.config.task), self.scores["target"], names)
        table = pd.DataFrame(labels, columns=names)
        return table.loc[:, table.any()]


# ---- tests and intervals


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
    return table


def importance_tables(folder: ImportanceFolder) -> dict[str, pd.DataFrame]:
    """The report's tables by name."""
    return {
        "features": measures_table(folder),
        "classes": classes_table(folder),
        "smaller": smaller_sets(folder),
    }


def importance_summary(folder: ImportanceFolder) -> str:
    """A line for each feature: its score alone, points lost without it, and added."""
    config = folder.config
    tests = measures_table(folder)
    texts = []
    for test in tests.itertuples():
        text = points(test.mean)
        if pd.notna(test.low):
            text += f" ({points(test.low)} to {points(test.high)})"
        if test.measure == "alone":
            text = f"{percent(test.score)} %: {text}"
        texts.append(text)
    shown = tests.assign(text=texts).pivot(
        index="feature", columns="measure", values="text"
    )
    shown = shown.loc[[*config.features], [*MEASURES]].fillna("the base")
    header = ("", "alone: above chance", "lost without it", f"added to {config.base}")
    every = folder.scores[config.column(*config.features)].mean()
    legend = (
        f"{len(folder.scores):,} test clips; all features together {percent(every)} %"
        f" {config.score}, by {config.model}; points with 95 % intervals"
    )
    return f"{text_table(shown.reset_index().to_numpy().tolist(), header)}\n{legend}"
