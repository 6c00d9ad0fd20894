"""Options for annotated recordings, in which sounds are marked by beginning and end."""

from dataclasses import MISSING
from pathlib import Path

from featurestack.base.options import DataOptions, Options, option

DETECTED = ".predict.json"  # the record of a folder of detections


class LabelOptions(Options):
    """The labels in annotation tables."""

    column: str = option(
        "",
        "column that contains the labels; by default one with a common name, such as"
        " label or Species",
    )
    label: str = option("", "label for events that have none in their table")


class WindowsOptions(DataOptions, LabelOptions):
    """Options of `windows`."""

    example = "AUDIO=recordings TABLES=tables"

    audio: Path = option(MISSING, "the recordings, a folder or one file")
    tables: Path = option(
        MISSING,
        "annotation tables in a known format: a folder of them, or one table for all"
        " recordings",
    )
    length: float | None = option(
        None,
        "length of a window in seconds; by default long enough for nine of ten events,"
        " from 0.25 to 5",
        least=0.01,
    )
    hop: float | None = option(
        None,
        "seconds from the start of one window to the next; by default half of LENGTH",
        least=0.001,
    )
    empty: bool = option(
        False,
        "treat recordings without a table as free of events; by default they are left"
        " out",
    )
    group: str = option(
        "",
        "pattern with one (group) that finds the bird or site in the name of a"
        " recording; recordings of a group are in one fold; by default each recording"
        " is a group",
    )
    name: str = option("", "name of the dataset; by default the name of AUDIO")
