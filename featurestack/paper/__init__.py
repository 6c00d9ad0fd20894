"""PAPER=1: a LaTeX document and a methods paragraph beside the report."""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    adds={"options": {"AnalysisOptions": ".options:PaperOptions"}},
)
