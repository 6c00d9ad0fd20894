"""The clip table, one row a clip, the same columns in every stage; and each fold's split, without a leak.

A group is one source recording; no two sides of a split ever share one. Altered copies are only ever trained
on. Pure functions of the table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError

CLIP_COLUMNS = ("clip_id", "path", "label", "category", "fold", "group", "copy_of", "alteration")
OPTIONAL = ("path", "category", "group", "copy_of", "alteration")  # '' where a table brings none
SOURCE_COLUMNS = {
    "source_size": np.int64,
    "source_time_ns": np.int64,
    "source_hash": str,
    "source_seconds": np.float64,  # how long its sound lasts; 0 where not known, -1 where unreadable
}  # of the audio file
# Columns of predictions.csv, of all its folds together, and of what predict prints and writes, beside one a
# class: no class may be called so.
NO_CLASS_NAMES = (
    *("clip_id", "group", "split", "selection", "target", "fold"),
    *("file", "predicted", "start", "end"),
)

Val = Literal["none", "next", "group"]
Ids = NDArray[np.object_]
VALIDATION_FRACTION = 0.15  # of the training groups, for VAL=group
NO_IDS: Ids = np.array([], dtype=object)


def complete(table: pd.DataFrame | Mapping[str, object]) -> pd.DataFrame:
    """The table with every column of CLIP_COLUMNS: '' where an optional one is absent, group = clip_id."""
    frame = pd.DataFrame(table).reset_index(drop=True)
    for column in OPTIONAL:
        if column not in frame:
            frame[column] = frame["clip_id"] if column == "group" and "clip_id" in frame else ""
    return validate(frame)


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """The table's CLIP_COLUMNS, strings as str and folds as int; RequestError names what is wrong."""
    missing = [column for column in CLIP_COLUMNS if column not in table]
    if missing:
        raise RequestError(
            f"the clip table lacks the columns {', '.join(missing)}; it has {', '.join(table)}"
        )
    clean = table.loc[:, list(CLIP_COLUMNS)].reset_index(drop=True)
    for column in CLIP_COLUMNS:
        if column != "fold":
            clean[column] = clean[column].fillna("").astype(str)
    try:
        clean["fold"] = clean["fold"].astype(np.int64)
    except (TypeError, ValueError) as error:
        raise RequestError(f"the clip table's folds are not whole numbers: {error}") from None
    _refuse_bad_ids(clean["clip_id"])
    _refuse_bad_copies(clean)
    return with_own_groups(clean)


def refuse_class_names(names: Iterable[str]) -> None:
    """RequestError where classes are called like columns of predictions."""
    if taken := sorted(set(names) & set(NO_CLASS_NAMES)):
        named = f"{', '.join(taken)}: no class may have the name of a column of predictions"
        raise RequestError(f"{named}; rename {'it' if len(taken) == 1 else 'them'}")


def with_own_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a blank `group` filled: a clip is a recording of its own, a copy has its original's."""
    blank = table["group"].str.strip() == ""
    if not blank.any():
        return table
    own = table["copy_of"].where(table["copy_of"] != "", table["clip_id"])
    group_of = dict(zip(table["clip_id"], table["group"].where(~blank, own)))
    return table.assign(group=table["group"].where(~blank, own.map(group_of)))


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not altered copies of others."""
    return table[table["copy_of"] == ""]


def with_sources(table: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from a known one, else 0 and ''."""
    columns: dict[str, NDArray[Any]] = {}
    there = np.zeros(len(table), bool)
    if known is not None:
        rows = rows_of(table["clip_id"].to_numpy(), known["clip_id"].to_numpy())
        there = rows >= 0
    for name, kind in SOURCE_COLUMNS.items():
        columns[name] = np.full(len(table), kind(), object if kind is str else kind)
        if known is not None:
            columns[name][there] = known[name].to_numpy()[rows[there]]
    return table.assign(**columns)


def rows_of(ids: NDArray[Any], among: NDArray[Any]) -> NDArray[np.intp]:
    """(N,) positions of these ids among others, -1 where they do not."""
    if np.array_equal(ids, among):
        return np.arange(len(ids))
    return pd.Index(among).get_indexer(pd.Index(ids)).astype(np.intp)


def _refuse_bad_ids(ids: pd.Series) -> None:
    if not len(ids):
        raise RequestError("the clip table is empty")
    if (ids == "").any():
        raise RequestError(f"row {int((ids == '').argmax())} of the clip table has no clip_id")
    if ids.duplicated().any():
        raise RequestError(f"clip ids occur twice: {', '.join(ids[ids.duplicated()].unique()[:5])}")


def _refuse_bad_copies(table: pd.DataFrame) -> None:
    copies = table["copy_of"] != ""
    unknown = copies & ~table["copy_of"].isin(table.loc[~copies, "clip_id"])
    if unknown.any():
        raise RequestError(
            f"copies of clips that are not in the table: {', '.join(table.clip_id[unknown][:5])}"
        )
    if copies.any() and not copies[int(copies.argmax()) :].all():
        raise RequestError("altered copies must come after all originals")


@dataclass(frozen=True)
class Split:
    """Clip ids of one fold's split; each side keeps the table's order.

    `train` holds originals, then their altered copies. `statistics` are the originals in `train`:
    means and deviations come from them alone. `left_out` are originals of the training or
    validation folds whose group is also tested or validated.
    """

    train: Ids
    test: Ids
    val: Ids = field(default_factory=lambda: NO_IDS)
    statistics: Ids = field(default_factory=lambda: NO_IDS)
    left_out: Ids = field(default_factory=lambda: NO_IDS)


def fold_split(table: pd.DataFrame, fold: int, *, val: Val = "none", seed: int = 0) -> Split:
    """The split in which `fold` is tested, by the protocol.

    `val` sets clips aside for early stopping: those of the next fold, or 15 % of the training groups
    (stratified, drawn from `seed`). The table's altered copies of the training clips are trained on too.
    Raises RequestError where the table has no such fold, or nothing would be trained on.
    """
    is_copy = table["copy_of"].to_numpy() != ""
    originals, altered = table[~is_copy], table[is_copy]
    test = originals[originals["fold"] == fold]
    rest = originals[originals["fold"] != fold]
    if not len(test):
        raise RequestError(f"there is no fold {fold}; the folds are {_folds(originals)}")
    candidates = drop_leaking(rest, test)
    validation = candidates.iloc[:0]
    if val != "none":
        validation = _validation(candidates, originals, fold, val, seed)
    train = drop_leaking(candidates.drop(validation.index), validation)
    if not len(train):
        raise RequestError(
            f"with fold {fold} tested and VAL={val} no clip is left to train on; the folds are "
            f"{_folds(originals)}: give more folds, VAL=group or VAL=none"
        )
    used = {*train.index, *validation.index}
    copies = altered[altered["copy_of"].isin(set(train["clip_id"]))]
    return Split(
        train=_ids(pd.concat([train, copies])),
        val=_ids(validation),
        test=_ids(test),
        statistics=_ids(train),
        left_out=_ids(rest[[row not in used for row in rest.index]]),
    )


def drop_leaking(clips: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """The rows of `clips` whose group does not occur in `held_out`."""
    return clips[~clips["group"].isin(set(held_out["group"]))]


def validation_groups(
    clips: pd.DataFrame, rng: np.random.Generator, fraction: float = VALIDATION_FRACTION
) -> set[str]:
    """A fraction of the groups, stratified by class (a group's commonest); no class gives its last one."""
    class_of = clips.groupby("group", sort=True)["label"].agg(lambda labels: labels.mode().iloc[0])
    shuffled = class_of.sample(frac=1, random_state=rng)
    groups = {label: list(members.index) for label, members in shuffled.groupby(shuffled, sort=False)}
    wanted = {label: fraction * len(members) for label, members in groups.items()}
    taken = {label: min(int(wanted[label]), len(groups[label]) - 1) for label in groups}
    missing = max(1, round(fraction * len(class_of))) - sum(taken.values())
    for label in sorted(groups, key=lambda label: taken[label] - wanted[label]):  # largest remainder first
        if missing > 0 and taken[label] < len(groups[label]) - 1:
            taken[label] += 1
            missing -= 1
    return {group for label, members in groups.items() for group in members[: taken[label]]}


def _validation(
    candidates: pd.DataFrame, originals: pd.DataFrame, fold: int, val: Val, seed: int
) -> pd.DataFrame:
    if val == "next":
        folds = _folds(originals)
        following = folds[(folds.index(fold) + 1) % len(folds)]
        validation = candidates[candidates["fold"] == following]
    else:
        chosen = validation_groups(candidates, np.random.default_rng([seed, fold]))
        validation = candidates[candidates["group"].isin(chosen)]
    if not len(validation):
        raise RequestError(
            f"VAL={val} leaves no clip for validation beside test fold {fold}; the folds are "
            f"{_folds(originals)} and {candidates['group'].nunique()} groups are free: give VAL=none"
        )
    return validation


def _folds(table: pd.DataFrame) -> list[int]:
    return sorted(int(fold) for fold in table["fold"].unique())


def _ids(table: pd.DataFrame) -> Ids:
    return table["clip_id"].to_numpy(dtype=object)


def untrainable(clips: pd.DataFrame) -> str:
    """Why nothing can be trained on these clips; empty where it can."""
    classes, folds = clips["label"].unique(), clips["fold"].nunique()
    if len(classes) == 1:
        return f"no training yet: one class only ({classes[0]}), and it needs two"
    return "no training yet: one fold only, and it needs two" if folds == 1 else ""
