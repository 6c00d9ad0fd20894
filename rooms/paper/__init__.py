"""PAPER=1: a LaTeX document and a methods paragraph beside the report."""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    capabilities={
        "latex": "featurestack.rooms.paper.latex",
        "methods": "featurestack.rooms.paper.methods",
    },
    templates=Path(__file__).parent / "templates",
)
