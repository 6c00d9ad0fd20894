"""The train, validation and test split of one fold, without a leak.

Pure functions of the clip table (`features_cache.table`). A group is one source recording; no two
sides of a split ever share one. Altered copies are only ever trained on.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import RequestError

Val = Literal["none", "next", "group"]
Ids = NDArray[np.object_]

VALIDATION_FRACTION = 0.15  # of the training groups, for VAL=group
NO_IDS: Ids = np.array([], dtype=object)


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
    validation = _validation(candidates, originals, fold, val, seed)
    train = drop_leaking(candidates.drop(validation.index), validation)
    if not len(train):
        raise RequestError(
            f"with fold {fold} tested and VAL={val} no clip is left to train on; the folds are "
            f"{_folds(originals)}: give more folds, or VAL=none"
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
    if val == "none":
        return candidates.iloc[:0]
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
