"""The clip table: one row per clip, CLIP_COLUMNS in every stage. Pure functions of the
table.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError

CLIP_COLUMNS = (
    "clip_id",
    "path",
    "label",
    "category",
    "fold",
    "group",
    "copy_of",
    "alteration",
)
WINDOW_COLUMNS = ("start", "end")  # seconds in the file; 0 to 0 is the whole file
SEPARATOR = ";"  # between labels in a cell; an empty cell means none of the classes
SOURCE_COLUMNS = {
    "source_size": np.int64,
    "source_time_ns": np.int64,
    "source_hash": str,
    "source_seconds": np.float64,  # duration of the audio; 0 if unknown
}
# columns of sources' tables and of folds.csv that are no property of a recording
SOURCE_TABLE_COLUMNS = (
    "filename",
    "grouped_by",
    "folds_by",
    "split",
    "subset",
    "target",
    "seconds",
)
INDEX_COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS, *WINDOW_COLUMNS)
# a table's other columns may be speakers, sites or devices
KNOWN_COLUMNS = frozenset((*INDEX_COLUMNS, *SOURCE_TABLE_COLUMNS))
# No class may have these names: they are columns of predictions.csv and of what predict
# prints and writes.
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


def has_windows(table: pd.DataFrame) -> bool:
    """Whether some clip is a part of its file."""
    return bool((table["end"] > 0).any())


def spans(table: pd.DataFrame) -> list[tuple[float, float]]:
    """(start, end) in seconds of each clip in its file; 0 to 0 is the whole file."""
    return list(zip(table["start"].tolist(), table["end"].tolist()))


def refuse_class_names(names: Iterable[str]) -> None:
    """RequestError if a class has one of NO_CLASS_NAMES."""
    if taken := ", ".join(sorted(set(names) & set(NO_CLASS_NAMES))):
        raise RequestError(
            f"{taken}: no class may have the name of a column of predictions; rename"
            " them"
        )


def has_tags(table: pd.DataFrame) -> bool:
    """Whether any clip has several labels or none; then every clip may."""
    labels = table["label"]
    none = labels == ""
    several = labels.str.contains(SEPARATOR, regex=False)
    return bool(none.any() or several.any())


def by_label(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a row for each label of each clip; a clip without a label keeps
    one row, labelled ''.
    """
    labels = table["label"].str.split(SEPARATOR)
    return table.assign(label=labels).explode("label")


def label_indicator(labels: Iterable[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """(N, K): whether each clip has each of the classes among its labels.

    >>> label_indicator(["dog", "dog;rain", ""], ["dog", "rain"]).tolist()
    [[True, False], [True, True], [False, False]]
    """
    codes, texts = pd.factorize(pd.Series([*labels], dtype=object))
    split = pd.Series(texts, dtype=object).str.split(SEPARATOR).explode()
    columns = pd.Index(classes).get_indexer(split)
    known = columns >= 0
    of_texts = np.zeros((len(texts), len(classes)), bool)
    of_texts[split.index[known], columns[known]] = True
    return of_texts[codes]


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not altered copies."""
    return table[table["copy_of"] == ""]


def rows_of(ids: NDArray, among: NDArray) -> NDArray[np.intp]:
    """(N,) each id's position in `among`, -1 if it is not there."""
    if np.array_equal(ids, among):
        return np.arange(len(ids))
    return pd.Index(among).get_indexer(pd.Index(ids)).astype(np.intp)
