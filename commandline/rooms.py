"""Rooms: what few users need, each in a folder that can be removed.

A distribution hangs a room on the core by one entry point, which names its declaration:

    [project.entry-points."featurestack.rooms"]
    whales = "whales:ROOM"

    ROOM = Room(
        commands={"pipeline whales": "whales.command:whales"},
        features={"song": "whales.song:FEATURE"},
    )

A declaration is read when the core lacks a name, lists names or makes a page. Its
objects are imported when they are used. Without its folder a room adds nothing.
"""

import importlib
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from featurestack.commandline.errors import RequestError
from featurestack.commandline.spelling import CLONE, HOME

GROUP = "featurestack.rooms"
Kind = Literal[
    "commands",
    "options",
    "functions",
    "capabilities",
    "features",
    "models",
    "tasks",
    "claims",
    "figures",
    "sections",
    "needs",
]
Names = Mapping[str, str]  # name -> "module:object", or "module" for the module itself
NONE: Names = MappingProxyType({})


class Room(NamedTuple):
    """The additions of a room to the core.

    commands      words after `python -m`, such as "train curve" -> function of options
    options       class of options, such as "PredictOptions" -> a class with further
                  options, which the core's class takes too; if several rooms add to
                  one class, "PredictOptions.whales"
    functions     function of `import featurestack as fs`
    capabilities  what the core asks for by name, such as "torchrun"
    features      feature -> a `pipeline.features.registry.Feature`
    models        model -> a `train.models.registry.Model`
    tasks         value of TASK -> a `results.tasks` object
    claims        value of TASK -> whether TASK=auto means it, a function of the cache
    figures       figure -> the module that enters it in FIGURES
    sections      section of a report -> function of its `analysis.sections.PageInputs`;
                  one with the name of a task is on the pages of that task alone
    needs         section -> a pattern of the files below a dataset's runs that it
                  reads; without such a file it is not loaded
    templates     folder of the sections' templates
    extra         the extra of the distribution that brings the room's libraries
    distribution  the distribution, as pip knows it
    """

    commands: Names = NONE
    options: Names = NONE
    functions: Names = NONE
    capabilities: Names = NONE
    features: Names = NONE
    models: Names = NONE
    tasks: Names = NONE
    claims: Names = NONE
    figures: Names = NONE
    sections: Names = NONE
    needs: Names = NONE
    templates: Path | None = None
    extra: str = ""
    distribution: str = "featurestack"


def names(kind: Kind) -> dict[str, str]:
    """Everything of this kind that the rooms add: name -> where it is."""
    return {name: target for name, (target, _) in _offers(kind).items()}


def load(kind: Kind, name: str) -> Any:
    """The object that a room adds under this name; RequestError if no room does, or if
    a library is missing.
    """
    offers = _offers(kind)
    if name not in offers:
        gone = ", ".join(missing())
        where = f"; these are not here: {gone}" if gone else ""
        raise RequestError(f"{name} is in no room{where}")
    target, room = offers[name]
    module, _, member = target.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not room.extra:
            raise
        raise RequestError(
            f"{name} needs {error.name}: {install_command(room.extra, room)}"
        ) from None
    return getattr(loaded, member) if member else loaded


def templates() -> list[Path]:
    """The folders of the rooms' templates."""
    return [room.templates for _, room in _declared() if room and room.templates]


def folders() -> list[Path]:
    """The folders of the rooms that are here."""
    modules = [target.partition(":")[0] for target, room in _declared() if room]
    return [Path(str(sys.modules[module].__file__)).parent for module in modules]


def install_command(extra: str, room: Room | None = None) -> str:
    """The command that installs an extra of the distribution into this environment."""
    name = room.distribution if room else "featurestack"
    place = HOME if CLONE and name == "featurestack" else name
    return f"{pip_install()} {shlex.quote(f'{place}[{extra}]')}"


def pip_install() -> str:
    """The words that install into the environment of this Python: another `pip` may be
    first in PATH.
    """
    return shlex.join([sys.executable, "-m", "pip", "install"])


def missing() -> list[str]:
    """The folders of rooms that an entry point names and that are not there."""
    return [
        target.partition(":")[0].removeprefix("featurestack.").replace(".", "/")
        for target, room in _declared()
        if room is None
    ]


@cache
def _offers(kind: Kind) -> dict[str, tuple[str, Room]]:
    offers: dict[str, tuple[str, Room]] = {}
    for _, room in _declared():
        for name, target in getattr(room, kind, NONE).items():
            if name in offers:
                raise ValueError(f"two rooms add {kind} {name}: {target} is one")
            assert room is not None
            offers[name] = target, room
    return offers


@cache
def _declared() -> tuple[tuple[str, Room | None], ...]:
    """Each entry point's value and its declaration, None if the folder is not there."""
    return tuple((target, _declaration(target)) for target in _entry_points())


def _declaration(target: str) -> Room | None:
    module, _, member = target.partition(":")
    try:
        room: Room = getattr(importlib.import_module(module), member)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        return None
    return room


def _entry_points() -> Iterator[str]:
    """The values of the group's entry points: a clone's own from its pyproject.toml,
    because a clone need not be installed.
    """
    from importlib import metadata

    if CLONE:
        text = (HOME / "pyproject.toml").read_text(encoding="utf-8")
        yield from tomllib.loads(text)["project"]["entry-points"][GROUP].values()
    for point in metadata.entry_points(group=GROUP):
        own = point.dist is not None and point.dist.name == "featurestack"
        if not (CLONE and own):
            yield point.value
