"""Folds of a dataset that brings none: drawn by group, and kept beside the cache.

`folds.csv` holds one row a clip: clip_id, group, fold, grouped_by, the GROUP= that the groups came from,
and the source of the dataset. It also answers for commands that are not told GROUP= again.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError
from features_cache.storage import publish
from pipeline.datasets.csv_text import read_csv

FOLDS = 5
COLUMNS = ["clip_id", "group", "fold", "grouped_by", "source"]


class KeptFolds:
    """The file of folds of one dataset; RequestError where it is that of another source."""

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        self.rows = read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
        other = self.rows["source"][self.rows["source"] != source]
        if len(other):
            raise RequestError(
                f"{path} holds folds of {other.iloc[0]}, not of {source}; give this dataset another name "
                f"with NAME=, or delete that file if the folder has moved"
            )

    @property
    def grouped_by(self) -> str | None:
        """The GROUP= of an earlier command, where there was one."""
        return str(self.rows["grouped_by"].iloc[-1]) or None if len(self.rows) else None

    @property
    def of_groups(self) -> dict[str, int]:
        """Group to fold."""
        return dict(zip(self.rows["group"], self.rows["fold"].astype(int)))

    def keep(self, table: pd.DataFrame, grouped_by: str | None) -> None:
        """Write what changed; clips that are away stay listed."""
        away = self.rows[~self.rows["clip_id"].isin(set(table["clip_id"]))]
        here = table[["clip_id", "group", "fold"]].assign(grouped_by=grouped_by or "", source=self.source)
        rows = pd.concat([away, here])[COLUMNS].astype(str).reset_index(drop=True)
        if rows.equals(self.rows.astype(str)):
            return
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(draft, index=False)
            publish(draft, self.path)
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror or error}") from None


def with_folds(
    table: pd.DataFrame, kept: KeptFolds, seed: int, grouped_by: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every fold known, and a note where folds were drawn.

    Folds of the source stand. Others are drawn by group, stratified, from `seed`; groups that
    `kept` knows keep their fold, also when their clips go and come back.
    """
    if (table["fold"] > 0).all():
        if grouped_by:
            kept.keep(table, grouped_by)
        return table, ()
    standing = kept.of_groups
    folds = max(1, min(FOLDS, table["group"].nunique()))
    drawn = draw_folds(table["label"].tolist(), table["group"].tolist(), folds, seed, standing)
    table = table.assign(fold=drawn)
    kept.keep(table, grouped_by)
    new = len(set(table["group"]) - standing.keys())
    if new:
        return table, (f"folds: {new:,} groups drawn into {folds} folds (seed {seed}), kept in {kept.path}",)
    return table, (f"folds: as drawn before, {kept.path}; delete it to draw again",)


def draw_folds(
    labels: Sequence[str],
    groups: Sequence[str],
    folds: int,
    seed: int,
    kept: Mapping[str, int] | None = None,
) -> NDArray[np.int64]:
    """A fold from 1 to `folds` for every clip: one fold a group, classes spread evenly, seeded.

    `kept` maps groups to folds that stand; only the other groups are drawn, around them.
    Largest groups first, each to the fold that has least of its classes: the greedy rule of
    scikit-learn's StratifiedGroupKFold, which cannot take folds that stand.
    """
    kept = kept or {}
    class_of, class_names = pd.factorize(np.asarray(labels, dtype=object))
    group_of, group_names = pd.factorize(np.asarray(groups, dtype=object))
    clips_in_class = np.bincount(class_of, minlength=len(class_names))
    members = _members(group_of, len(group_names))
    filled = np.zeros((folds, len(class_names)))  # share of each class that a fold already has
    fold_of_group = np.zeros(len(group_names), dtype=np.int64)

    def put(group: int, fold: int) -> None:
        fold_of_group[group] = fold
        np.add.at(filled[fold - 1], class_of[members[group]], 1 / clips_in_class[class_of[members[group]]])

    waiting = []
    for group, name in enumerate(group_names):
        if 1 <= kept.get(name, 0) <= folds:
            put(group, kept[name])
        else:
            waiting.append(group)
    shuffled = np.random.default_rng(seed).permutation(np.array(waiting, dtype=np.int64))
    for group in sorted(shuffled, key=lambda group: -len(members[group])):
        share = filled[:, class_of[members[group]]].sum(axis=1).round(9)
        put(group, 1 + int(np.lexsort((filled.sum(axis=1).round(9), share))[0]))
    return fold_of_group[group_of]


def _members(group_of: NDArray[np.int64], groups: int) -> list[NDArray[np.int64]]:
    """Positions of every group's clips."""
    order = np.argsort(group_of, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group_of, minlength=groups))[:-1])
