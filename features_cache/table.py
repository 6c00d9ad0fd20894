"""The clip table: one row a clip, the same columns in every stage."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from commandline import RequestError

CLIP_COLUMNS = ("clip_id", "path", "label", "category", "fold", "group", "copy_of", "alteration")
OPTIONAL = ("path", "category", "group", "copy_of", "alteration")  # '' where a table brings none
SOURCE_COLUMNS = {
    "source_size": np.int64,
    "source_time_ns": np.int64,
    "source_hash": str,
}  # of the audio file


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
    return clean


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not altered copies of others."""
    return table[table["copy_of"] == ""]


def with_sources(table: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from a known one, else 0 and ''."""
    columns = list(SOURCE_COLUMNS)
    if known is None:
        found = pd.DataFrame(index=table.index, columns=columns)
    else:
        found = known.set_index("clip_id")[columns].reindex(table["clip_id"]).set_index(table.index)
    for name, kind in SOURCE_COLUMNS.items():
        found[name] = found[name].fillna("" if kind is str else 0).astype(kind)
    return table.assign(**{name: found[name] for name in columns})


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
