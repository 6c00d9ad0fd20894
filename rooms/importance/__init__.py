"""The worth of each feature: `make importance`, `make curve`, their section."""

from pathlib import Path

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    targets={"importance": "train importance", "curve": "train curve"},
)
NAMES = ("importance", "importance_by_class", "curve")


@ROOM.commands("train importance", "train curve")
def load_commands() -> Loaded:
    from featurestack.rooms.importance.functions import make_curve, make_importance

    return make_importance, make_curve


@ROOM.functions("importance", "curve")
def load_functions() -> Loaded:
    from featurestack.rooms.importance.functions import curve, importance

    return importance, curve


@ROOM.figures(*NAMES)
def load_figures() -> Loaded:
    from featurestack.analysis.figures.drawing import FIGURES
    from featurestack.rooms.importance import section  # noqa: F401

    return [FIGURES[name] for name in NAMES]


@ROOM.sections("importance", files="importance/*.*")
def load_sections() -> Loaded:
    from featurestack.rooms.importance.section import importance

    return (importance,)
