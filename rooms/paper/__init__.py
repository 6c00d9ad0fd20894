"""PAPER=1: a LaTeX document and a methods paragraph beside the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(templates=Path(__file__).parent / "templates", switches=["paper"])


@ROOM.options("AnalysisOptions")
def load_options() -> Sequence[Any]:
    from featurestack.rooms.paper.options import PaperOptions

    return (PaperOptions,)


@ROOM.capabilities("paper")
def load_paper() -> Sequence[Any]:
    from featurestack.rooms.paper.latex import write_paper

    return (write_paper,)
