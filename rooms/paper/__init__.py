"""PAPER=1: a LaTeX document and a methods paragraph beside the report."""

from pathlib import Path

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(templates=Path(__file__).parent / "templates")


@ROOM.options("AnalysisOptions")
def load_options() -> Loaded:
    from featurestack.rooms.paper.options import PaperOptions

    return (PaperOptions,)
