"""A room of another distribution: a feature, model, command, option and section."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Room

COUNT = Command(".commands:whales", ".commands:WhalesOptions", "Count whales.")
ROOM = Room(
    templates=Path(__file__).parent / "templates",
    commands={"whales": COUNT},
    adds={
        "options": {"AnalysisOptions": ".commands:OceanOptions"},
        "features": {"song": ".song:SONG"},
        "models": {"small": ".small:SMALL"},
        "sections": {"whales": ".section:whales", "tide": ".section:tide"},
    },
)
