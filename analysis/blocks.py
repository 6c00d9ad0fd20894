"""What the page's sections are made of: a heading, sentences, figures and tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from analysis.figures import Saved
from analysis.grid import Cell, Grid


@dataclass(frozen=True)
class Block:
    """One matter of a section; `folded` ones open on a click, `beside` puts figures in columns."""

    heading: str
    about: str = ""
    figures: list[Saved] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    folded: bool = False
    beside: bool = False
    items: list[str] = field(default_factory=list)


def to_json(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Blocks as plain objects, to be kept in a file."""
    return [asdict(block) for block in blocks]


def from_json(kept: Sequence[dict[str, Any]]) -> list[Block]:
    """The blocks that `to_json` took apart."""
    return [
        Block(
            heading=one["heading"],
            about=one["about"],
            items=one["items"],
            figures=[Saved(**figure) for figure in one["figures"]],
            grids=[_grid(table) for table in one["grids"]],
            folded=one["folded"],
            beside=one["beside"],
        )
        for one in kept
    ]


def _grid(kept: dict[str, Any]) -> Grid:
    columns = [(name, words) for name, words in kept["columns"]]
    return Grid(kept["name"], columns, [[Cell(**cell) for cell in row] for row in kept["rows"]])
