"""Annotated recordings, marks of sounds with a beginning and an end: options."""

from dataclasses import MISSING
from pathlib import Path

from featurestack.base.options import DataOptions, Options, option


class LabelOptions(Options):
    """The labels in annotation tables."""

    column: str = option(
        "", "column of labels in the tables; by default one of the names in use"
    )
    label: str = option("", "label of events that have none; COLUMN names a column")


class WindowsOptions(DataOptions, LabelOptions):
    """Options of `windows`."""

    example = "AUDIO=recordings TABLES=tables"

    audio: Path = option(MISSING, "the recordings, a folder or one file")
    tables: Path = option(
        MISSING,
        "annotation tables of Raven or Audacity, or CSV: a folder, or one table of all"
        " recordings",
    )
    length: float | None = option(
        None,
        "seconds of a window; by default what nine of ten events fit into, from 0.25 to"
        " 5",
        least=0.01,
    )
    hop: float | None = option(
        None,
        "seconds from one window to the next; by default half of LENGTH",
        least=0.001,
    )
    empty: bool = option(
        False, "use recordings without a table, as free of events; by default left out"
    )
    group: str = option(
        "",
        "bird or site of a recording, all of whose recordings are in one fold: a"
        " pattern with one (group) for their names; by default each is a group",
    )
    name: str = option("", "name of the dataset; by default the name of AUDIO")
