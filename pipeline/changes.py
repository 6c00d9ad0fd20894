"""What differs between the clips that a cache knows and those that it is asked for, in a line each."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache.table import rows_of

LABELS = ("label", "category", "fold", "group")


def changes(before: pd.DataFrame, now: pd.DataFrame, part: slice) -> tuple[str, ...]:
    """`clips new: 10, are computed`, `clips in another order: …`; of audio only what changed in `part`."""
    rows = rows_of(now["clip_id"].to_numpy(), before["clip_id"].to_numpy())
    both, mine = rows >= 0, np.zeros(len(now), bool)
    mine[part] = True
    rows = rows[both]

    def differs(column: str) -> NDArray[np.bool_]:
        return before[column].to_numpy()[rows] != now[column].to_numpy()[both]

    heard = (before["source_hash"].to_numpy()[rows] != "") & mine[both]
    edited = heard & differs("source_hash")
    touched = heard & ~edited & differs("source_time_ns")
    relabelled = np.any([differs(column) for column in LABELS], axis=0)
    moved = (np.diff(rows) < 0).any()
    lines = (
        _line(len(now) - len(rows), "new", "are computed"),
        _line(len(before) - len(rows), "removed", "leave the files of the features that are asked for"),
        _line(int(edited.sum()), "changed in their audio", "are computed again"),
        _line(int(touched.sum()), "written again with the same content", "still hold"),
        _line(int(relabelled.sum()), "labelled or folded differently", "need no computing"),
    )
    return tuple(one for one in (*lines, "clips in another order: maps are copied" if moved else "") if one)


def _line(count: int, what: str, consequence: str) -> str:
    return f"clips {what}: {count:,}, {consequence}" if count else ""
