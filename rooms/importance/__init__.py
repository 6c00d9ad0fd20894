"""The worth of each feature: `make importance`, `make curve`, their section."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Loaded, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    fills={"importance": ("importance.json",)},
    commands={
        "importance": Command(
            "featurestack.rooms.importance.importance:make_importance",
            "featurestack.rooms.importance.options:ImportanceOptions",
            "Measure what each feature is worth, alone and beside the others.",
        ),
        "curve": Command(
            "featurestack.rooms.importance.curve:make_curve",
            "featurestack.rooms.importance.options:CurveOptions",
            "Measure the score against the number of training recordings.",
        ),
    },
)
NAMES = ("importance", "importance_by_class")


@ROOM.functions("importance", "curve")
def load_functions() -> Loaded:
    from featurestack.rooms.importance.functions import curve, importance

    return importance, curve


@ROOM.figures(*NAMES)
def load_figures() -> Loaded:
    from featurestack.analysis.figures.drawing import FIGURES
    from featurestack.rooms.importance import section  # noqa: F401

    return [FIGURES[name] for name in NAMES]


@ROOM.sections("importance", files="importance/*.json")
def load_sections() -> Loaded:
    from featurestack.rooms.importance.section import importance

    return (importance,)
