"""`python -m pipeline events` and its options."""

from dataclasses import MISSING
from pathlib import Path
from typing import Literal

from featurestack.commandline.options import DataOptions, option


class EventsCommand(DataOptions):
    """Options of `events`."""

    audio: Path = option(MISSING, "recordings: a folder, or one file")
    tables: Path = option(
        MISSING,
        "annotation tables of Raven or Audacity, or CSV: a folder, or one table of all"
        " recordings",
    )
    block: float | None = option(
        None,
        "seconds: each so long part of a recording is a group of its own, for a single"
        " long recording; by default a recording is a group",
        least=1,
    )
    column: str = option(
        "", "column of labels in the tables; by default one of the names in use"
    )
    label: str = option("", "label of events that have none")
    empty: bool = option(
        False, "use recordings without a table, as free of events; by default left out"
    )
    ignore: str = option(
        "",
        "labels separated by commas; frames of such events are neither trained on nor"
        " scored",
    )
    missing: Literal["refuse", "ignore"] = option(
        "refuse", "rows of recordings that are not in AUDIO: an error, or left out"
    )
    truncated: Literal["refuse", "keep"] = option(
        "refuse",
        "recordings that end before their header says: left out, or used as far as they"
        " go",
    )
    name: str = option("", "name of the dataset; by default that of AUDIO")
