"""The worth of each feature: `make importance`, `make curve`, their section."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    targets={"importance": "train importance", "curve": "train curve"},
)
NAMES = ("importance", "importance_by_class", "importance_sets", "curve")


@ROOM.commands("train importance", "train curve")
def load_commands() -> Sequence[Any]:
    from featurestack.rooms.importance.functions import make_curve, make_importance

    return make_importance, make_curve


@ROOM.functions("importance", "curve")
def load_functions() -> Sequence[Any]:
    from featurestack.rooms.importance.functions import curve, importance

    return importance, curve


@ROOM.capabilities("importance folders")
def load_folders() -> Sequence[Any]:
    from featurestack.rooms.importance import folder

    return (folder,)


@ROOM.figures(*NAMES)
def load_figures() -> Sequence[Any]:
    from featurestack.analysis.figures.drawing import FIGURES
    from featurestack.rooms.importance import figures  # noqa: F401

    return [FIGURES[name] for name in NAMES]


@ROOM.sections("importance", files="importance-*/*.*")
def load_sections() -> Sequence[Any]:
    from featurestack.rooms.importance.section import importance

    return (importance,)
