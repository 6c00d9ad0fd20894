"""From a report's content to one self-contained HTML page: its blocks, its tables, its templates.

Numbers are rounded here and nowhere earlier.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.figures import SavedFigure
from analysis.tables import format_p
from commandline import terminal

TEMPLATES = Path(__file__).parent / "templates"
UNKNOWN = "–"


def render(**content: Any) -> str:
    """The page; every name that the templates use must be given, and every text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": format_percent,
        "decimals": format_decimals,
        "count": format_count,
        "seconds": format_seconds,
        "slug": slug,
        "breakable": breakable,
        "muted_parentheses": muted_parentheses,
    }
    environment.globals["source"] = source
    return environment.get_template("page.html").render(**content)


def source(name: str) -> Markup:
    """A style sheet or script of the templates' folder, as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def format_percent(value: float, digits: int = 1) -> str:
    """0.8765 -> 87.7"""
    return UNKNOWN if _is_unknown(value) else terminal.percent(value, digits)


def format_decimals(value: float, digits: int = 3) -> str:
    return UNKNOWN if _is_unknown(value) else f"{value:.{digits}f}"


def format_count(value: float) -> str:
    return UNKNOWN if _is_unknown(value) else terminal.count(value)


def format_seconds(value: float) -> str:
    return UNKNOWN if _is_unknown(value) else terminal.duration(value)


def slug(text: str) -> str:
    """A name as an id of an element: what is no letter or digit becomes its code point, so ids differ."""
    return "run-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}", text)


def breakable(text: str) -> Markup:
    """Feature sets that may wrap after each +; signs of numbers and percent signs stay with their numbers."""
    return Markup("+<wbr>").join(re.split(r"\+(?=[A-Za-z])", text.replace(" %", "\u00a0%")))


def muted_parentheses(text: str) -> Markup:
    """A sentence with its parentheses in a lighter colour."""
    return Markup(
        re.sub(r"\([^()]*\)", lambda found: f'<span class="aside">{found[0]}</span>', str(escape(text)))
    )


def _is_unknown(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


CELL_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "percent": format_percent,
    "points": lambda value: UNKNOWN if pd.isna(value) else terminal.points(value),
    "p": lambda value: UNKNOWN if pd.isna(value) else format_p(value),
    "decimals": format_decimals,
    "count": format_count,
    "number": lambda value: UNKNOWN if pd.isna(value) else f"{value:.1f}".removesuffix(".0"),
    "seconds": format_seconds,
    "yes": lambda value: "yes" if value else "no",
}
TEXT_CELLS = ("text", "yes")


@dataclass(frozen=True)
class Cell:
    """The text that is shown and the value that is sorted by; equal for text."""

    text: str
    value: str


@dataclass(frozen=True)
class HtmlTable:
    """A table of the page: its id, headings with whether the column is text, rows of cells."""

    name: str
    columns: list[tuple[str, bool]]
    rows: list[list[Cell]]


def html_table(name: str, table: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> HtmlTable:
    """`columns`: a column of the frame -> its heading and how its cells read, one of CELL_FORMATS."""
    header = [(heading, cell in TEXT_CELLS) for heading, cell in columns.values()]
    rows = [
        [_cell(row[column], cell) for column, (_, cell) in columns.items()]
        for row in table.to_dict("records")
    ]
    return HtmlTable(name, header, rows)


def _cell(value: Any, cell: str) -> Cell:
    text = CELL_FORMATS[cell](value)
    return Cell(text, text if cell in TEXT_CELLS else "" if pd.isna(value) else repr(float(value)))


def rows_shown_of(table: pd.DataFrame, file: str, most: int) -> str:
    """What the page says beside the first `most` rows of a longer table; nothing beside a shorter one."""
    return f" The first {most} of {len(table):,}: tables/{file}.csv has all." if len(table) > most else ""


@dataclass(frozen=True)
class Block:
    """One subject of a section; `folded` ones open on a click, `beside` puts figures in columns."""

    heading: str
    about: str = ""
    figures: list[SavedFigure] = field(default_factory=list)
    tables: list[HtmlTable] = field(default_factory=list)
    folded: bool = False
    beside: bool = False
    items: list[str] = field(default_factory=list)


def blocks_to_json(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Blocks as plain objects, to be kept in a file."""
    plain = [asdict(replace(block, figures=[])) for block in blocks]
    drawn = [[figure.to_json() for figure in block.figures] for block in blocks]
    return [one | {"figures": figures} for one, figures in zip(plain, drawn, strict=True)]


def blocks_from_json(kept: Sequence[dict[str, Any]]) -> list[Block]:
    """The blocks that `blocks_to_json` took apart."""
    return [
        Block(
            heading=one["heading"],
            about=one["about"],
            items=one["items"],
            figures=[SavedFigure.from_json(figure) for figure in one["figures"]],
            tables=[_table_from_json(table) for table in one["tables"]],
            folded=one["folded"],
            beside=one["beside"],
        )
        for one in kept
    ]


def _table_from_json(kept: dict[str, Any]) -> HtmlTable:
    columns = [(name, is_text) for name, is_text in kept["columns"]]
    return HtmlTable(kept["name"], columns, [[Cell(**cell) for cell in row] for row in kept["rows"]])
