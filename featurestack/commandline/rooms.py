"""Rooms: what few users need, each in a folder that can be removed.

A distribution hangs a room on the core by one entry point, which names its declaration:

    [project.entry-points."featurestack.rooms"]
    whales = "whales:ROOM"

    ROOM = Room(
        commands={"whales": Command(".count:count", ".count:Options", "Count whales.")},
        adds={"models": {"small": ".models:SMALL"}},
    )

A declaration is read when the core lacks a name, lists names or makes a page; it loads
nothing. What it names is imported when it is used. Without its folder a room adds
nothing. A room of another distribution that fails, or a part of it, is left out and
told in one line.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import shlex
import sys
import tomllib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from featurestack.commandline import CLONE, HOME, NAME
from featurestack.commandline.errors import Error, RequestError, nearest
from featurestack.commandline.terminal import tell_once

GROUP = "featurestack.rooms"
# kinds of things that a room adds; each has a name
Kind = Literal[
    "commands",
    "options",  # a class, by the class that takes its options too: PredictOptions
    "functions",  # attributes of `import featurestack as fs`
    "capabilities",  # modules that another room asks for by name
    "features",  # `pipeline.features.registry.Feature`
    "models",  # `train.models.Model`
    "figures",  # `analysis.figures.Figure`
    "files",  # `predict.bundle.RunModel` class of a file, by its ending: onnx
    "tasks",  # `scores.tasks` object, by its value of TASK
    # function of `analysis.sections.PageInputs`; a task's name limits it to its pages
    "sections",
    # function of (recordings, tables): a sentence with the command that makes a dataset
    # from annotation tables
    "dataset_hints",
    "list_remarks",  # function without arguments: lines below the list of features
]


class Command(NamedTuple):
    """The action of a word of the program.

    run      module:function of the command's options, which returns the exit status
    options  module:class of them
    meaning  a sentence for help
    """

    run: str
    options: str
    meaning: str


class Addition(NamedTuple):
    """One name that a room adds, and the module:object, or module, that has it."""

    room: "Room"
    place: str
    files: str = ""  # `Room.files`
    needs: str = ""

    def load(self) -> Any:
        return _object(self.place, self.room)


@dataclass(kw_only=True, eq=False)
class Room:
    """The declaration of what a room adds to the core. A module that begins with a
    point is the room's own.
    """

    extra: str = ""  # the distribution's extra with the room's libraries
    templates: Path | None = None  # folder of its sections' templates
    commands: Mapping[str, Command] = field(default_factory=dict)  # by their word
    # kind -> name -> module:object, or a module
    adds: Mapping[Kind, Mapping[str, str]] = field(default_factory=dict)
    # section -> pattern of files below a dataset's runs, without which it is not loaded
    files: Mapping[str, str] = field(default_factory=dict)
    # feature -> parameter that must be given, so that FEATURES=all leaves it out; model
    # that takes no clips -> its task, and `models` leaves it out
    needs: Mapping[str, str] = field(default_factory=dict)
    # folders beside a dataset's runs that its commands fill: name -> their files, first
    # the one by which such a folder is known
    fills: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # task -> first line of the file <task>.csv beside a dataset's table, by which
    # TASK=auto means the task
    claims: Mapping[str, str] = field(default_factory=dict)
    place: "Place" = field(init=False)


class Place(NamedTuple):
    """An entry point: its name and value, and the distribution that has it."""

    name: str
    target: str
    distribution: str
    version: str

    @property
    def title(self) -> str:
        return f"room {self.name} of {self.distribution} {self.version}".rstrip()

    @property
    def module(self) -> str:
        return self.target.partition(":")[0].strip()


def load(kind: Kind, name: str) -> Any:
    """The object that a room adds under this name; RequestError if that fails."""
    additions = names(kind)
    if name not in additions:
        raise RequestError(in_no_room(name))
    with _named(name, additions[name].room):
        return additions[name].load()


def of_command(command: Command, place: str) -> Any:
    """The function or the class of a command, by its module:name."""
    for room in _rooms():
        for word, own in room.commands.items():
            if own is command:
                with _named(word, room):
                    return _object(place, room)
    return _object(place)


def _object(place: str, room: Room | None = None) -> Any:
    module, _, name = place.partition(":")
    imported = importlib.import_module(module, room.place.module if room else None)
    return getattr(imported, name) if name else imported


@contextlib.contextmanager
def _named(name: str, room: Room) -> Iterator[None]:
    """A context in which a failure to load becomes a RequestError with this name."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and room.extra:
            install = install_command(room.extra, room)
            raise RequestError(f"{name} needs {error.name}: {install}") from None
        # a failure of ours is a fault
        if room.place.distribution == NAME or isinstance(error, Error):
            raise
        reason = f"{name} of {room.place.title} fails: {_reason(error)}"
        raise RequestError(reason) from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def loaded(
    kind: Kind,
    *arguments: object,
    only: Sequence[str],
    check: Callable[[Any], object] = bool,
) -> Iterator[Any]:
    """The objects of these names, or each one's answer to the arguments; one of another
    distribution that fails, or that `check` refuses, is told and left out.
    """
    for name in only:
        room = names(kind)[name].room
        try:
            result = load(kind, name)
            check(result)
            if arguments:
                result = result(*arguments)
        except (Exception, SystemExit) as error:
            if room.place.distribution == NAME:
                raise
            reason = _reason(error.__cause__ or error)
            tell_once(f"{name} of {room.place.title} is left out: {reason}")
        else:
            yield result


def templates() -> list[Path]:
    return [room.templates for room in _rooms() if room.templates]


def commands(own: Container[str]) -> dict[str, Command]:
    """Word -> command that a room adds; one whose word the core has is told."""
    found = {}
    for word, addition in names("commands").items():
        if word in own:
            title = addition.room.place.title
            tell_once(f"{word} of {title} is left out: the core has it")
        else:
            found[word] = addition.room.commands[word]
    return found


def filled_folders() -> dict[str, Sequence[str]]:
    return {name: files for room in _rooms() for name, files in room.fills.items()}


def claims() -> dict[str, str]:
    return {task: line for room in _rooms() for task, line in room.claims.items()}


def install_command(extra: str, room: Room | None = None) -> str:
    """The command that installs an extra of the distribution into this environment."""
    name = room.place.distribution if room else NAME
    place = HOME if CLONE and name == NAME else name
    return f"{pip_install()} {shlex.quote(f'{place}[{extra}]')}"


def pip_install() -> str:
    """The words that install for this Python: another `pip` may be first in PATH."""
    return shlex.join([sys.executable, "-m", "pip", "install"])


def in_no_room(name: str) -> str:
    """The sentence for a name that no room has."""
    gone = ", ".join(missing())
    return f"{name} is in no room" + (f"; these are not here: {gone}" if gone else "")


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for an unknown name: `nearest`, and the rooms that are not here."""
    message = nearest(kind, word, known)
    return f"{message}. {in_no_room(word)}" if missing() else message


def missing() -> list[str]:
    """The folders of rooms that an entry point names and that are not there."""
    gone = [place.module for place, room in _declared().items() if not room]
    return [module.removeprefix(f"{NAME}.").replace(".", "/") for module in gone]


@functools.cache
def names(kind: Kind) -> dict[str, Addition]:
    """All of this kind that rooms add, by name; the first room's counts. Several may
    add options to one class: their name is "class.room".
    """
    additions: dict[str, Addition] = {}
    for room in _rooms():
        added = dict.fromkeys(room.commands, "")
        if kind != "commands":
            added = dict(room.adds.get(kind, {}))
        for name, place in added.items():
            addition = Addition(
                room, place, room.files.get(name, ""), room.needs.get(name, "")
            )
            if kind == "options":
                name = f"{name}.{room.place.name}"
            first = additions.setdefault(name, addition).room
            if first is not room:
                left_out = f"{name} of {room.place.title} is left out"
                tell_once(f"{left_out}: {first.place.title} adds it")
    return additions


@functools.cache
def _declared() -> dict[Place, Room | None]:
    """Entry point -> its declaration, None if the folder is not there."""
    found = {}
    for place in _entry_points():
        try:
            found[place] = _declaration(place)
        except (Exception, SystemExit) as error:
            tell_once(f"{place.title} is left out: {_reason(error)}")
    return found


def _rooms() -> list[Room]:
    return [room for room in _declared().values() if room]


def _declaration(place: Place) -> Room | None:
    member = place.target.partition(":")[2].strip()
    try:
        module = importlib.import_module(place.module)
    except ModuleNotFoundError as error:
        if not f"{place.module}.".startswith(f"{error.name}."):
            raise
        return None
    room = getattr(module, member, None)
    if not isinstance(room, Room):
        raise TypeError(f"{place.target} is no Room")
    room.place = place
    return room


def _entry_points() -> Iterator[Place]:
    """The entry points; a clone's own are in its pyproject.toml, installed or not."""
    if CLONE:
        text = (HOME / "pyproject.toml").read_text(encoding="utf-8")
        own = tomllib.loads(text)["project"]["entry-points"][GROUP]
        yield from (Place(name, target, NAME, "") for name, target in own.items())
    # our own come first: another distribution takes none of their names
    places = [
        Place(point.name, point.value, point.dist.name, point.dist.version)
        for point in importlib.metadata.entry_points(group=GROUP)
        if point.dist is not None and not (CLONE and point.dist.name == NAME)
    ]
    yield from sorted(places, key=lambda place: place.distribution != NAME)
