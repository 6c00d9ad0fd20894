"""A room of another distribution: a feature, model, command, option and section."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Room

COUNT = Command(
    "whales.commands:whales", "whales.commands:WhalesOptions", "Count whales."
)
ROOM = Room(templates=Path(__file__).parent / "templates", commands={"whales": COUNT})


@ROOM.options("AnalysisOptions")
def load_options():
    from whales.commands import OceanOptions

    return [OceanOptions]


@ROOM.features("song")
def load_features():
    from whales.song import SONG

    return [SONG]


@ROOM.models("small")
def load_models():
    from whales.small import SMALL

    return [SMALL]


@ROOM.sections("whales")
def load_sections():
    from whales.section import whales

    return [whales]
