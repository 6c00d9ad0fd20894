"""`make events` and its options."""

from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import ClassVar

from featurestack.base.options import DataOptions, Options, option


class LabelOptions(Options):
    """The labels in annotation tables."""

    column: str = option(
        "", "column of labels in the tables; by default one of the names in use"
    )
    label: str = option("", "label of events that have none; COLUMN names a column")


class EventsCommand(DataOptions, LabelOptions):
    """Options of `events`."""

    example = "AUDIO=recordings TABLES=tables"
    without_effect: ClassVar[Mapping[str, str]] = {
        "dataset": "AUDIO= names the recordings, NAME= the dataset"
    }

    audio: Path = option(MISSING, "the recordings, a folder or one file")
    tables: Path = option(
        MISSING,
        "annotation tables of Raven or Audacity, or CSV: a folder, or one table of all"
        " recordings",
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


class DetectionOptions(LabelOptions):
    """Detections in recordings, and the tables that they are scored against."""

    tables: Path | None = option(
        None, "annotation tables, like those of events, to score detections against"
    )

    check: int = option(
        0,
        "number of detections to listen to, drawn by score: a table for yes and no, and"
        " short sounds",
        least=0,
    )
    checked: Path | None = option(
        None,
        "the table of CHECK with answers, instead of AUDIO: precision by score, the"
        " number of right detections, and the threshold that keeps PROMISE; with CHECK"
        " a new check takes over its answers",
    )
    promise: float = option(
        0.9, "precision that CHECKED finds a threshold for", least=0.5, most=0.99
    )
