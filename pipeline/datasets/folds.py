"""Folds of a dataset that brings none: drawn by group, and kept beside the cache.

`folds.csv` holds one row a clip: clip_id, group, fold, and grouped_by, the GROUP= that the groups came
from. It also answers for commands that are not told GROUP= again.
"""

import os
from pathlib import Path

import pandas as pd

from features_cache.parts import draw_folds
from pipeline.datasets.csv_text import read_csv

FOLDS = 5
COLUMNS = ["clip_id", "group", "fold", "grouped_by"]


def kept_group(kept_in: Path) -> str | None:
    """The GROUP= of an earlier command, where there was one."""
    kept = _read(kept_in)
    return str(kept["grouped_by"].iloc[-1]) or None if len(kept) else None


def with_folds(
    table: pd.DataFrame, kept_in: Path, seed: int, grouped_by: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every fold known, and a note where folds were drawn.

    Folds of the source stand. Others are drawn by group, stratified, from `seed`; groups that
    `kept_in` knows keep their fold, also when their clips go and come back.
    """
    if (table["fold"] > 0).all():
        if grouped_by:
            _keep(table, kept_in, grouped_by)
        return table, ()
    fold_of = _folds_that_stand(_read(kept_in), table)
    folds = max(1, min(FOLDS, table["group"].nunique()))
    drawn = draw_folds(table["label"].tolist(), table["group"].tolist(), folds, seed, fold_of)
    table = table.assign(fold=drawn)
    new = len(set(table["group"]) - fold_of.keys())
    _keep(table, kept_in, grouped_by)
    if new:
        return table, (f"folds: {new:,} groups drawn into {folds} folds (seed {seed}), kept in {kept_in}",)
    return table, (f"folds: as drawn before, {kept_in}; delete it to draw again",)


def _folds_that_stand(kept: pd.DataFrame, table: pd.DataFrame) -> dict[str, int]:
    """Group to fold; none where the clips are now grouped in another way."""
    before = dict(zip(kept["clip_id"], kept["group"]))
    now = dict(zip(table["clip_id"], table["group"]))
    if any(before[clip] != now[clip] for clip in before.keys() & now.keys()):
        return {}
    return dict(zip(kept["group"], kept["fold"].astype(int)))


def _read(path: Path) -> pd.DataFrame:
    return read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)


def _keep(table: pd.DataFrame, path: Path, grouped_by: str | None) -> None:
    """Write what changed; clips that are away stay listed."""
    before = _read(path)
    away = before[~before["clip_id"].isin(set(table["clip_id"]))]
    rows = pd.concat([away, table[["clip_id", "group", "fold"]].assign(grouped_by=grouped_by or "")])
    rows = rows[COLUMNS].astype(str).reset_index(drop=True)
    if rows.equals(before.astype(str)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    rows.to_csv(temporary, index=False)
    temporary.replace(path)
