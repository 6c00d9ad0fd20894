"""Groups and folds: which clips come from one source recording, and folds for a dataset that brings none.

Folds are drawn by group and kept beside the cache: `folds.csv` holds one row a clip: clip_id, group, fold,
grouped_by (the GROUP= that the groups came from), the source of the dataset and folds_by (`group` where each
group is a fold), so that later commands need not be given GROUP= and FOLDS_BY= again.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.files import not_written, replaced
from commandline.registry import RequestError, closest
from commandline.terminal import counted
from pipeline.datasets.readers import FoundClips, read_csv

FOLDS = 5
NAMED = 8  # folds in a note
MOST_FOLDS = 100  # each is a training
FOLD = "[1-9][0-9]{0,8}"  # in the file
COLUMNS = ["clip_id", "group", "fold", "grouped_by", "source", "folds_by"]


def with_groups(found: FoundClips, group: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every group known, and what a user should know about it.

    `group` is a column of the table's file, or a pattern searched in file names without their
    extension, else in the paths within the dataset, whose parentheses hold the group. Without it the
    source's own groups are kept; a clip that has none is a group of its own.
    """
    table, columns = found.table, [] if found.columns is None else list(found.columns)
    notes = _not_used(found, group)
    if group is not None and found.columns is not None and group in columns:
        table = table.assign(group=found.columns[group].to_numpy())
    elif group is not None:
        groups, searched = _by_pattern(found, group, columns)
        table, notes = table.assign(group=groups), (*notes, *searched)
    alone = table["group"] == ""
    if group is not None and len(table) > 1 and not alone.any() and table["group"].nunique() == 1:
        raise RequestError(
            f"GROUP={group} makes one group of all {len(table):,} clips, {table['group'].iloc[0]!r}, so none "
            "is left to test: give a column or a pattern that differs between source recordings"
        )
    if group is not None and alone.any():
        fitting = f"{len(table) - alone.sum()} of {counted(len(table), 'clip')}"
        notes = (*notes, f"GROUP={group} fits {fitting}; the others are groups of their own")
    return table.assign(group=table["group"].where(~alone, table["clip_id"])), notes


def _not_used(found: FoundClips, group: str | None) -> tuple[str, ...]:
    """A line on the columns of a CSV that say nothing here."""
    unused = [column for column in found.unused_columns if column != group]
    hint = "" if group or (found.table["group"] != "").any() else "; GROUP= takes one of them as the group"
    return (f"columns that are not used: {', '.join(unused)}{hint}",) if unused else ()


def _by_pattern(found: FoundClips, pattern: str, columns: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Each clip's group, '' where the pattern does not fit, and a line where paths were searched."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise RequestError(f"GROUP={pattern} is no pattern: {error}; as in GROUP='(.*)-[A-Z]'") from None
    within = found.table["clip_id"] if found.columns is None else found.columns.get("filename", [])
    names = [PurePath(path).stem for path in found.table["path"]]
    for texts, note in (
        (names, ()),
        (within, (f"GROUP={pattern} fits no file name and is searched in the paths within the dataset",)),
    ):
        matches = [expression.search(text) for text in texts]
        if any(matches):
            return ["" if one is None else "-".join(one.groups("") or [one[0]]) for one in matches], note
    meant = closest(pattern, columns)
    of_columns = f", and is no column of {', '.join(columns)}" if columns else ""
    raise RequestError(
        f"GROUP={pattern} fits no file name, the first is {names[0]!r}, and no path within the dataset"
        f"{of_columns}; {f'did you mean GROUP={meant}? Otherwise ' if meant else ''}"
        "expected a pattern whose parentheses hold the source recording, as in GROUP='(.*)-[A-Z]'"
    )


class KeptFolds:
    """The file of folds of one dataset; RequestError where it is that of another source, or damaged."""

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        self.rows = read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
        if "folds_by" not in self.rows:  # a file of before
            self.rows["folds_by"] = ""
        damaged = list(self.rows.columns) != COLUMNS or not self.rows["fold"].str.fullmatch(FOLD).all()
        if damaged or not self.rows["folds_by"].isin(["", "group"]).all():
            raise RequestError(f"{path} is damaged: delete it to draw folds again")
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
    def folds_by(self) -> str:
        """`group` where an earlier command made each group a fold."""
        return str(self.rows["folds_by"].iloc[-1]) if len(self.rows) else ""

    @property
    def of_groups(self) -> dict[str, int]:
        """Group to fold."""
        return dict(zip(self.rows["group"], self.rows["fold"].astype(int)))

    def keep(self, table: pd.DataFrame, grouped_by: str | None, folds_by: str = "") -> None:
        """Write what changed; clips that are away stay listed."""
        away = self.rows[~self.rows["clip_id"].isin(set(table["clip_id"]))]
        how = {"grouped_by": grouped_by or "", "source": self.source, "folds_by": folds_by}
        here = table[["clip_id", "group", "fold"]].assign(**how)
        rows = pd.concat([away, here])[COLUMNS].astype(str).reset_index(drop=True)
        if rows.equals(self.rows.astype(str)):
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replaced(self.path, locked=False) as draft:
                rows.to_csv(draft, index=False)
        except OSError as error:
            raise not_written(self.path, error) from None


def with_folds(
    table: pd.DataFrame, kept: KeptFolds, seed: int, grouped_by: str | None, folds_by: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with every fold known, and a note where folds were drawn.

    Folds of the source are kept. Others are drawn by group, stratified, from `seed`; groups that
    `kept` knows keep their fold, also when their clips go and come back. With `folds_by` "group" each
    group is a fold of its own; None is what `kept` says.
    """
    if (folds_by or kept.folds_by) == "group":
        return _a_fold_a_group(table, kept, grouped_by)
    if (table["fold"] > 0).all():
        if grouped_by or kept.folds_by:
            kept.keep(table, grouped_by)
        return table, ()
    drawn_before = {} if kept.folds_by == "group" else kept.of_groups
    folds = max(1, min(FOLDS, table["group"].nunique()))
    drawn = draw_folds(table["label"].tolist(), table["group"].tolist(), folds, seed, drawn_before)
    table = table.assign(fold=drawn)
    kept.keep(table, grouped_by)
    new = len(set(table["group"]) - drawn_before.keys())
    if new:
        drawn_now = f"{counted(new, 'group')} drawn into {folds} folds (seed {seed}), kept in {kept.path}"
        earlier = f"GROUP={kept.grouped_by}" if kept.grouped_by else "no GROUP="
        regrouped = len(kept.rows) and grouped_by != kept.grouped_by
        lost = f"; the earlier folds, of {earlier}, are gone: train again what is to be compared"
        return table, (f"folds: {drawn_now}{lost if regrouped else ''}",)
    return table, (f"folds: as drawn before, {kept.path}; delete it to draw again",)


def _a_fold_a_group(
    table: pd.DataFrame, kept: KeptFolds, grouped_by: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with groups numbered by name; groups that come later get further numbers."""
    groups = sorted(table["group"].unique())
    if not 2 <= len(groups) <= MOST_FOLDS:
        raise RequestError(
            f"FOLDS_BY=group makes a fold of each group, and there are {len(groups):,}; expected 2 to "
            f"{MOST_FOLDS}: say with GROUP= which clips are of one speaker or site"
        )
    fold_of = kept.of_groups if kept.folds_by == "group" else {}
    for group in groups:
        fold_of.setdefault(group, 1 + max(fold_of.values(), default=0))
    table = table.assign(fold=table["group"].map(fold_of))
    kept.keep(table, grouped_by, "group")
    named = ", ".join(f"{fold_of[group]} {group}" for group in groups[:NAMED])
    more = " …" if len(groups) > NAMED else ""
    return table, (f"folds: one a group, kept in {kept.path}: {named}{more}",)


def draw_folds(
    labels: Sequence[str],
    groups: Sequence[str],
    folds: int,
    seed: int,
    kept: Mapping[str, int] | None = None,
) -> NDArray[np.int64]:
    """A fold from 1 to `folds` for every clip: one fold a group, classes spread evenly, seeded.

    `kept` maps groups to folds that they keep; only the other groups are drawn, around them.
    Largest groups first, each to the fold that has least of its classes: the greedy rule of
    scikit-learn's StratifiedGroupKFold, which cannot take folds that are fixed.
    """
    kept = kept or {}
    class_of, class_names = pd.factorize(np.asarray(labels, dtype=object))
    group_of, group_names = pd.factorize(np.asarray(groups, dtype=object))
    clips_in_class = np.bincount(class_of, minlength=len(class_names))
    members = _members(group_of, len(group_names))
    filled = np.zeros((folds, len(class_names)))  # fraction of each class that a fold already has
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
        taken = filled[:, class_of[members[group]]].sum(axis=1).round(9)
        put(group, 1 + int(np.lexsort((filled.sum(axis=1).round(9), taken))[0]))
    return fold_of_group[group_of]


def _members(group_of: NDArray[np.int64], groups: int) -> list[NDArray[np.int64]]:
    """Positions of every group's clips."""
    order = np.argsort(group_of, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group_of, minlength=groups))[:-1])
