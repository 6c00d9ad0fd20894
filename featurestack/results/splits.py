"""Train, validation and test clips of each fold.

No two sides of a split share a group, which is a source recording. Clips that the table
marks `train_only` are trained on if their group is neither validated nor tested.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.base.options import VALIDATION_SHARE
from featurestack.features_cache.clip_table import by_label, originals

ClipIds = NDArray[np.object_]


@dataclass(frozen=True)
class Split:
    """Clip ids of one fold's split, in the table's order.

    `train` holds originals, then clips that are only trained on; `statistics` the
    originals only; `left_out` originals whose group is tested or validated.
    """

    train: ClipIds
    test: ClipIds
    val: ClipIds
    statistics: ClipIds
    left_out: ClipIds


def fold_split(
    table: pd.DataFrame,
    fold: int,
    *,
    val: Literal["none", "next", "group"] = "none",
    seed: int = 0,
) -> Split:
    """The split in which `fold` is tested; RequestError if a side would be empty.

    `val` sets the next fold aside, or a part of the training groups, drawn from `seed`.
    """
    clips = originals(table)
    folds = sorted(clips["fold"].unique().tolist())
    if fold not in folds:
        raise RequestError(f"there is no fold {fold}; the folds are {folds}")
    test = clips[clips["fold"] == fold]
    rest = clips[clips["fold"] != fold]
    candidates = drop_leaking(rest, test)
    validated = np.zeros(len(candidates), bool)
    if val == "next":
        following = folds[(folds.index(fold) + 1) % len(folds)]
        validated = candidates["fold"].to_numpy() == following
    elif val == "group":
        rng = np.random.default_rng([seed, fold])
        chosen = draw_groups(candidates, VALIDATION_SHARE, rng)
        validated = candidates["group"].isin(chosen).to_numpy()
    train = drop_leaking(candidates[~validated], candidates[validated])
    if not len(train) or (val != "none" and not validated.any()):
        raise RequestError(
            f"with fold {fold} tested and VAL={val} no clip is left to train on, or to"
            f" validate on; the folds are {folds}: give more folds, VAL=group or"
            " VAL=none"
        )
    held_out = pd.concat([test, candidates[validated]])
    only_trained = drop_leaking(table.drop(clips.index), held_out)
    used = pd.concat([train, candidates[validated]])["clip_id"]
    return Split(
        train=_ids(pd.concat([train, only_trained])),
        val=_ids(candidates[validated]),
        test=_ids(test),
        statistics=_ids(train),
        left_out=_ids(rest[~rest["clip_id"].isin(used)]),
    )


def _ids(clips: pd.DataFrame) -> ClipIds:
    return clips["clip_id"].to_numpy(dtype=object)


def drop_leaking(clips: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """The rows of `clips` whose group does not occur in `held_out`."""
    return clips[~clips["group"].isin(set(held_out["group"]))]


def draw_groups(
    clips: pd.DataFrame, share: float, rng: np.random.Generator
) -> set[str]:
    """Draw a share of the groups, by their commonest class, never all of a class."""
    counts = by_label(clips).groupby(["group", "label"]).size()
    # by group, then by name of the label: the first of equally common classes counts
    commonest = counts.sort_values(ascending=False, kind="stable")
    class_of = commonest.reset_index().drop_duplicates("group").set_index("group")
    class_of = class_of["label"].sort_index()
    shuffled = class_of.sample(frac=1, random_state=rng)
    by_class = shuffled.groupby(shuffled, sort=False)
    groups = {label: list(members.index) for label, members in by_class}
    quota = {label: share * len(members) for label, members in groups.items()}
    taken = {label: min(int(quota[label]), len(groups[label]) - 1) for label in groups}
    missing = max(1, round(share * len(class_of))) - sum(taken.values())
    # largest remainder first
    for label in sorted(groups, key=lambda label: taken[label] - quota[label]):
        if missing > 0 and taken[label] < len(groups[label]) - 1:
            taken[label] += 1
            missing -= 1
    return {
        group for label, members in groups.items() for group in members[: taken[label]]
    }
