"""A clip table as it is given: checked and completed, before a cache is made of it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import (
    CLIP_COLUMNS,
    SOURCE_COLUMNS,
    WINDOW_COLUMNS,
)

NEEDED = ("clip_id", "label", "fold")  # other columns may be absent


def complete(table: pd.DataFrame | Mapping[str, object]) -> pd.DataFrame:
    """The table's CLIP_COLUMNS, strings as str and folds as int, and WINDOW_COLUMNS;
    RequestError names what is wrong.

    Absent optional columns become '', absent WINDOW_COLUMNS 0. A blank group becomes
    the clip's own id, or its original's group.
    """
    if missing := [column for column in NEEDED if column not in table]:
        raise RequestError(
            f"the clip table lacks the columns {', '.join(missing)}; it has"
            f" {', '.join(table)}"
        )
    given = pd.DataFrame(table).reset_index(drop=True)
    clean = given.reindex(columns=list(CLIP_COLUMNS), fill_value="")
    for column in CLIP_COLUMNS:
        if column != "fold":
            clean[column] = clean[column].fillna("").astype(str)
    try:
        # Int64 refuses fractions
        clean["fold"] = clean["fold"].astype("Int64").astype(np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(
            f"the clip table's folds are not whole numbers: {error}"
        ) from None
    places = given.reindex(columns=list(WINDOW_COLUMNS), fill_value=0.0)
    clean[list(WINDOW_COLUMNS)] = places.astype(np.float64)
    refuse_carriage_returns(clean)
    ids = clean["clip_id"]
    copies = clean["copy_of"] != ""
    if not len(ids):
        raise RequestError("the clip table is empty")
    if (ids == "").any():
        raise RequestError(
            f"row {int((ids == '').argmax())} of the clip table has no clip_id"
        )
    for wrong, what in (
        (ids.duplicated(), "clip ids occur twice"),
        (
            copies & ~clean["copy_of"].isin(ids[~copies]),
            "copies of clips that are no originals here",
        ),
        (
            copies.cummax() & ~copies,
            "altered copies must follow all originals; these originals follow one",
        ),
    ):
        if wrong.any():
            raise RequestError(f"{what}: {', '.join(ids[wrong][:5])}")
    # an original is its own group, a copy has its original's
    blank = clean["group"].str.strip() == ""
    own = clean["copy_of"].where(copies, ids)
    group_of = dict(zip(ids, clean["group"].where(~blank, own)))
    return clean.assign(group=clean["group"].where(~blank, own.map(group_of)))


def refuse_carriage_returns(table: pd.DataFrame) -> None:
    """RequestError if a clip, a class or a group has a name with a carriage return,
    which a CSV file does not keep.
    """
    for column in ("clip_id", "label", "category", "group"):
        if column not in table:
            continue
        names = table[column].fillna("").astype(str)
        if (wrong := names[names.str.contains("\r")]).size:
            raise RequestError(
                f"{column} {wrong.iloc[0]!r} holds a carriage return, which tables do"
                " not keep: rename it"
            )


def with_sources(table: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from `known`, else 0 and
    ''.
    """
    sources = pd.DataFrame(known, columns=["clip_id", *SOURCE_COLUMNS])
    sources = sources.set_index("clip_id")
    columns = {}
    for name, kind in SOURCE_COLUMNS.items():
        column = sources[name].reindex(table["clip_id"], fill_value=kind())
        columns[name] = column.astype(kind).to_numpy()
    return table.assign(**columns)
