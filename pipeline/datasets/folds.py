"""Folds of a dataset that brings none: drawn by group, and kept beside the cache."""

import os
from pathlib import Path

import pandas as pd

from features_cache.parts import draw_folds
from pipeline.datasets.csv_text import read_csv

FOLDS = 5


def with_folds(table: pd.DataFrame, kept_in: Path, seed: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every fold known, and a note where folds were drawn.

    Folds of the source stand. Others are drawn by group, stratified, from `seed`; groups that
    `kept_in` knows keep their fold, also when their clips go and come back.
    """
    if (table["fold"] > 0).all():
        return table, ()
    kept = _kept(kept_in, table)
    folds = max(1, min(FOLDS, table["group"].nunique()))
    drawn = draw_folds(table["label"].tolist(), table["group"].tolist(), folds, seed, kept)
    table = table.assign(fold=drawn)
    new = table["group"].nunique() - len(set(table["group"]) & kept.keys())
    if new:
        _keep(kept_in, table, kept)
        return table, (f"folds: {new} groups drawn into {folds} folds (seed {seed}), kept in {kept_in}",)
    return table, (f"folds: as drawn before, {kept_in}; delete it to draw again",)


def _kept(path: Path, table: pd.DataFrame) -> dict[str, int]:
    """The folds that stand: none where the clips are now grouped in another way."""
    if not path.exists():
        return {}
    rows = read_csv(path)
    group_of = dict(zip(rows["clip_id"], rows["group"]))
    now = dict(zip(table["clip_id"], table["group"]))
    if any(group_of[clip] != now[clip] for clip in group_of.keys() & now.keys()):
        return {}
    return dict(zip(rows["group"], rows["fold"].astype(int)))


def _keep(path: Path, table: pd.DataFrame, kept: dict[str, int]) -> None:
    rows = table[["clip_id", "group", "fold"]]
    if kept:
        before = read_csv(path)
        rows = pd.concat([before[~before["clip_id"].isin(set(rows["clip_id"]))], rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    rows.to_csv(temporary, index=False)
    temporary.replace(path)
