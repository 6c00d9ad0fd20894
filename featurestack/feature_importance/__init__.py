"""The worth of each feature: `make importance`, `make curve`, their section."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    fills={"importance": ("importance.json",)},
    commands={
        "importance": Command(
            ".importance:make_importance",
            ".options:ImportanceOptions",
            "Measure what each feature is worth, alone and beside the others.",
        ),
        "curve": Command(
            ".curve:make_curve",
            ".options:CurveOptions",
            "Measure the score against the number of training recordings.",
        ),
    },
    adds={
        "functions": {
            "importance": ".functions:importance",
            "curve": ".functions:curve",
        },
        "figures": {
            "importance": ".section:LOST",
            "importance_by_class": ".section:LOST_BY_CLASS",
        },
        "sections": {"importance": ".section:importance"},
    },
    files={"importance": "importance/*.json"},
)
