"""Folds of a dataset that brings none: drawn by group, and kept beside the cache.

`folds.csv` holds one row a clip: clip_id, group, fold, grouped_by, the GROUP= that the groups came from,
and the source of the dataset. It also answers for commands that are not told GROUP= again.
"""

import os
from pathlib import Path

import pandas as pd

from commandline import RequestError
from features_cache.parts import draw_folds
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
