"""The clip table: one row per clip, CLIP_COLUMNS in every stage.

`complete` checks and completes a table, `untrainable` says why it cannot be trained on.
Clips that the table marks `train_only` are never tested.
"""

from collections.abc import Iterable, Mapping, Sequence, Sized

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import DamagedFile, RequestError
from featurestack.base.quantities import counted

CLIP_COLUMNS = ("clip_id", "path", "label", "category", "fold", "group", "train_only")
# cells of train_only, in small letters, and what they mean
MARKS = {"": "", "0": "", "0.0": "", "false": "", "1": "1", "1.0": "1", "true": "1"}
WINDOW_COLUMNS = ("start", "end")  # seconds in the file; 0 to 0 is the whole file
SEPARATOR = ";"  # between labels in a cell; an empty cell means none of the classes
SOURCE_COLUMNS = {
    "source_size": np.int64,
    "source_time_ns": np.int64,
    "source_inode": np.int64,
    "source_change_ns": np.int64,
    "source_hash": str,
    "source_seconds": np.float64,  # duration of the audio; 0 if unknown
}
# columns of sources' tables and of folds.csv that do not describe a recording
SOURCE_TABLE_COLUMNS = (
    "filename",
    "alteration",
    "grouped_by",
    "labelled_by",
    "split",
    "subset",
    "target",
    "seconds",
)
# those of SOURCE_COLUMNS that `files.version_of` gives
VERSION_COLUMNS = ("source_size", "source_time_ns", "source_inode", "source_change_ns")
INDEX_COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS, *WINDOW_COLUMNS)
# a table's other columns may be speakers, sites or devices
KNOWN_COLUMNS = frozenset((*INDEX_COLUMNS, *SOURCE_TABLE_COLUMNS))
# columns of predictions.csv and of what predict writes: no class has these names
NO_CLASS_NAMES = (
    "clip_id",
    "group",
    "split",
    "selection",
    "target",
    "fold",
    "file",
    "predicted",
    "start",
    "end",
)
NEEDED_COLUMNS = ("clip_id", "label", "fold")  # other columns may be absent


def has_windows(table: pd.DataFrame) -> bool:
    """Whether some clip is a part of its file."""
    return bool((table["end"] > 0).any())


def spans(table: pd.DataFrame) -> list[tuple[float, float]]:
    """(start, end) in seconds of each clip in its file; 0 to 0 is the whole file."""
    return list(zip(table["start"].tolist(), table["end"].tolist()))


def refuse_class_names(names: Iterable[str]) -> None:
    if taken := ", ".join(sorted(set(names) & set(NO_CLASS_NAMES))):
        raise RequestError(
            f"{taken}: no class may have the name of a column of predictions; rename"
            " them"
        )


def has_tags(table: pd.DataFrame) -> bool:
    """Whether any clip has several labels or none; then every clip may."""
    several = table["label"].str.contains(SEPARATOR, regex=False)
    return bool((several | (table["label"] == "")).any())


def by_label(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a row for each label of a clip; a clip with none has a row ''."""
    labels = table["label"].str.split(SEPARATOR)
    return table.assign(label=labels).explode("label")


def classes_in(table: pd.DataFrame) -> list[str]:
    return sorted({*by_label(table)["label"]} - {""})


def label_indicator(labels: Iterable[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """(N, K): whether each clip has each of the classes among its labels.

    >>> label_indicator(["dog", "dog;rain", ""], ["dog", "rain"]).tolist()
    [[True, False], [True, True], [False, False]]
    """
    codes, texts = pd.factorize(pd.Series([*labels], dtype=object))
    has = pd.Series(texts, dtype=object).str.get_dummies(SEPARATOR)
    return has.reindex(columns=classes, fill_value=0).to_numpy(bool)[codes]


def marked(clips: pd.DataFrame, names: str = "clip_id") -> pd.DataFrame:
    """The clips with the column `train_only`: 1 for a clip that is only ever trained
    on, else ''. RequestError for any other cell names its clip by the column `names`.
    """
    absent = pd.Series("", clips.index)
    column = clips.get("train_only", absent).astype(object)
    cells = column.where(column.notna(), "").astype(str)
    marks = cells.str.strip().str.lower().map(MARKS)
    wrong = marks.isna()
    if wrong.any():
        raise RequestError(
            f"{clips[names][wrong].iloc[0]} has train_only {cells[wrong].iloc[0]!r};"
            " expected 1 for a clip that is only ever trained on, else nothing"
        )
    return clips.assign(train_only=marks)


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The clips that are tested: all but those marked `train_only`."""
    return table[table["train_only"] == ""]


def with_own_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The table in which a clip without a group is its own group; RequestError if the
    clip is marked `train_only`, since the recording it was made of may be tested.
    """
    blank = table["group"].str.strip() == ""
    if (unknown := blank & (table["train_only"] != "")).any():
        raise RequestError(
            f"{table['clip_id'][unknown].iloc[0]} is marked train_only and has no"
            " group: expected the source recording that it was made of, or a name of"
            " its own if it was made of none"
        )
    return table.assign(group=table["group"].where(~blank, table["clip_id"]))


def clips_of_recordings(
    clip_ids: Iterable[object], groups: Iterable[object], unit: str = ""
) -> str:
    """`80 clips of 40 source recordings`, or if nobody stated what clips share, `80
    clips, each counted as its own recording`. `unit` is the dataset's word for a group.
    """
    ids, names = [*map(str, clip_ids)], [*map(str, groups)]
    clips = counted(len(ids), "clip")
    if ids == names:
        return f"{clips}, each counted as its own recording"
    return f"{clips} of {counted(len({*names}), unit or 'source recording')}"


def rows_of(ids: NDArray, among: NDArray) -> NDArray[np.intp]:
    """(N,) each id's position in `among`, -1 if it is not there."""
    if np.array_equal(ids, among):
        return np.arange(len(ids))
    if not pd.Index(among).is_unique:
        raise DamagedFile("clip_id names a clip twice")
    return pd.Index(among).get_indexer(pd.Index(ids)).astype(np.intp)


def untrainable(clips: pd.DataFrame) -> str:
    """Why no model can be trained and tested on these clips, and what helps, or ''."""
    clips = originals(clips)
    if has_windows(clips) and not (clips["label"] != "").any():
        return "no clip has a label: there is nothing to learn"
    if reason := too_few_classes(clips):
        return reason
    if clips["fold"].nunique() > 1:
        return ""
    groups = clips["group"].nunique()
    if has_windows(clips):
        way = "give parts of a recording, such as every two minutes, their own groups"
    elif groups == 1:
        way = "add clips of a second source recording, or distinguish them by GROUP="
    else:
        way = "folds are drawn if the table has no column fold"
    return f"one fold only, and testing needs two: {way}"


def too_few_classes(clips: pd.DataFrame) -> str:
    """Why these clips have too few classes to learn, or ''; windows may have one."""
    labels = clips["label"].unique()
    if len(labels) > 1 or has_windows(clips):
        return ""
    named = ", ".join(labels) or "no label"
    return (
        f"one class only ({named}), and training needs two: give each a sub-folder, or"
        " give DATASET= a CSV with a label for each file"
    )


def complete(table: pd.DataFrame | Mapping[str, object]) -> pd.DataFrame:
    """The table with all columns of clips; RequestError names what is wrong."""
    if missing := [column for column in NEEDED_COLUMNS if column not in table]:
        raise RequestError(
            f"the clip table lacks the columns {', '.join(missing)}; it has"
            f" {', '.join(table)}"
        )
    lengths = {
        name: len(each)
        for name, each in table.items()
        if isinstance(each, Sized) and not isinstance(each, str)
    }
    if len({*lengths.values()}) > 1:
        columns = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise RequestError(f"the clip table's columns differ in length: {columns}")
    rows = marked(pd.DataFrame(table).reset_index(drop=True))
    clean = rows.reindex(columns=list(CLIP_COLUMNS), fill_value="")
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
    places = rows.reindex(columns=list(WINDOW_COLUMNS), fill_value=0.0)
    clean[list(WINDOW_COLUMNS)] = places.astype(np.float64)
    ids = clean["clip_id"]
    if not len(ids):
        raise RequestError("the clip table is empty")
    if (nameless := ids == "").any():
        row = int(nameless.argmax())
        raise RequestError(f"row {row} of the clip table has no clip_id")
    if (twice := ids[ids.duplicated()]).size:
        raise RequestError(f"clip ids occur twice: {', '.join(twice[:5])}")
    if not len(originals(clean)):
        raise RequestError("every clip is marked train_only: none is left to test")
    return with_own_groups(clean)


def with_sources(table: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """The table with SOURCE_COLUMNS, carried over by clip id from `before`."""
    sources = pd.DataFrame(before, columns=["clip_id", *SOURCE_COLUMNS])
    sources = sources.set_index("clip_id")
    columns = {}
    for name, kind in SOURCE_COLUMNS.items():
        column = sources[name].reindex(table["clip_id"], fill_value=kind())
        columns[name] = column.astype(kind).to_numpy()
    return table.assign(**columns)
