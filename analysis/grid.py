"""A data frame as a table of the page: words for the reader, the unrounded value for sorting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import page

KINDS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "percent": lambda value: page.percent(value),
    "points": lambda value: page.UNKNOWN if pd.isna(value) else f"{100 * value:+.1f}".replace("-", "−"),
    "decimals": lambda value: page.decimals(value),
    "count": lambda value: page.count(value),
    "number": lambda value: page.UNKNOWN if pd.isna(value) else f"{value:.1f}".removesuffix(".0"),
    "seconds": lambda value: page.seconds(value),
    "yes": lambda value: "yes" if value else "no",
}
WORDS = ("text", "yes")


@dataclass(frozen=True)
class Cell:
    """What is read and what is sorted by; equal for text."""

    text: str
    value: str


@dataclass(frozen=True)
class Grid:
    """A table of the page: its id, column names with whether they hold words, rows of cells."""

    name: str
    columns: list[tuple[str, bool]]
    rows: list[list[Cell]]


def grid(name: str, table: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> Grid:
    """`columns`: a column of the frame -> its heading and its kind, one of KINDS, in the order shown."""
    header = [(heading, kind in WORDS) for heading, kind in columns.values()]
    rows = [
        [_cell(row[column], kind) for column, (_, kind) in columns.items()]
        for row in table.to_dict("records")
    ]
    return Grid(name, header, rows)


def _cell(value: Any, kind: str) -> Cell:
    text = KINDS[kind](value)
    return Cell(text, text if kind in WORDS else "" if pd.isna(value) else repr(float(value)))


def cut(table: pd.DataFrame, file: str, most: int) -> str:
    """What the page says beside the first `most` rows of a longer table; nothing of a shorter one."""
    return f" The first {most} of {len(table):,}: tables/{file}.csv has all." if len(table) > most else ""
