"""Registries, what can be asked for by name, each entry one decorated function or class; and unknown names.

    METRICS: Registry[Metric] = Registry("metric")

    @METRICS.register()
    def accuracy(prediction): ...

    METRICS["accuracy"]     # the function
    METRICS["acuracy"]      # RequestError: unknown metric 'acuracy'; did you mean 'accuracy'? Known: accuracy

A registry whose entries carry more than the function wraps `register`:

    def model(takes: str) -> Callable[[Builder], Builder]:
        return MODELS.register(entry=lambda builder: Model(builder.__name__, takes, builder))
"""

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NoReturn, TypeVar

LISTED_NAMES = 60  # a longer list hides the answer that stands before it
Entry = TypeVar("Entry")
Registered = TypeVar("Registered", bound=Callable[..., object])


class RequestError(Exception):
    """The request was wrong: exit status 2, and `str(error)` is all that the user sees.

    The message says what was given, what was expected, and what to do.
    """


class Failed(Exception):
    """The work ran and something in it failed: exit status 1 with this sentence."""


def closest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name that is most like the word, whatever the case of its letters; None if none is.

    The first that begins with the word, if it has three letters or more.

    >>> closest("Mell", ["mel", "mfcc"]), closest("resnet", ["resnet18", "resnet50"])
    ('mel', 'resnet18')
    """
    by_folded = {name.casefold(): name for name in known}
    begun = [name for name in sorted(by_folded) if len(word) > 2 and name.startswith(word.casefold())]
    close = begun or difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[close[0]] if close else None


def nearest(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for an unknown name: the nearest known one, then the list.

    >>> nearest("feature", "mell", ["mel", "mfcc"])
    "unknown feature 'mell'; did you mean 'mel'? Known: mel, mfcc"
    """
    names = sorted(known)
    close = closest(word, names)
    hint = f"; did you mean {close!r}?" if close else "."
    shown = ", ".join(names[:LISTED_NAMES]) or "none"
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return f"unknown {kind} {word!r}{hint} Known: {shown}{more}"


class Registry(dict[str, Entry]):
    """A dictionary by name, in order of registration, that refuses a name twice and names what it lacks."""

    def __init__(self, subject: str, entries: Mapping[str, Entry] = MappingProxyType({})) -> None:
        """`subject` is what an entry is called in messages: "model"; `entries` are there from the start."""
        super().__init__(entries)
        self.subject = subject

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self:
            raise ValueError(f"{self.subject} {name!r} is registered twice: {self[name]} and {entry}")
        super().__setitem__(name, entry)

    def __missing__(self, name: str) -> NoReturn:
        raise RequestError(nearest(self.subject, name, self))

    def register(
        self, name: str = "", entry: Callable[[Any], Any] = lambda function: function
    ) -> Callable[[Registered], Registered]:
        """Decorator: enter a function under its own name or `name`, itself or as what `entry` makes of it."""

        def decorate(function: Registered) -> Registered:
            self[name or function.__name__] = entry(function)
            return function

        return decorate


def load_extra(package: str, extras: Mapping[str, tuple[str, str]], capability: str) -> ModuleType:
    """The module of a capability; RequestError if its file has been removed, or a package that it needs.

    extras  capability -> its module in the package, and the file of the packages that it needs besides
    """
    module, requirements = extras[capability]
    name = f"{package}.{module}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise RequestError(f"{capability} needs {name.replace('.', '/')}.py, which is not here") from None
        if not requirements:
            raise
        raise RequestError(f"{capability} needs {error.name}: pip install -r {requirements}") from None
