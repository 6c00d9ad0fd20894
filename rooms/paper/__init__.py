"""PAPER=1: a LaTeX document and a methods paragraph beside the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(templates=Path(__file__).parent / "templates", switches=["paper"])


@ROOM.capabilities("latex", "methods")
def load_writers() -> Sequence[Any]:
    from featurestack.rooms.paper import latex, methods

    return latex, methods
