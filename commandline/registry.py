"""Registries: what can be asked for by name, each entry one decorated function or class.

    METRICS: Registry[Metric] = Registry("metric")

    @METRICS.register()
    def accuracy(prediction): ...

    METRICS["accuracy"]     # the function
    METRICS["acuracy"]      # RequestError: unknown metric 'acuracy'; did you mean 'accuracy'? Known: accuracy

A registry whose entries carry more than the function wraps `register`:

    def model(takes: str) -> Callable[[Builder], Builder]:
        return MODELS.register(entry=lambda builder: Model(builder.__name__, takes, builder))
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, cast, overload

from commandline.errors import RequestError, nearest

Entry = TypeVar("Entry")
Registered = TypeVar("Registered", bound=Callable[..., Any])


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

    @overload
    def register(self, name: str | None = None) -> Callable[[Registered], Registered]: ...

    @overload
    def register(
        self, name: str | None = None, *, entry: Callable[[Registered], Entry]
    ) -> Callable[[Registered], Registered]: ...

    def register(
        self, name: str | None = None, entry: Callable[[Registered], Entry] | None = None
    ) -> Callable[[Registered], Registered]:
        """Decorator: enter a function under its own name or `name`, itself or as what `entry` makes of it."""

        def decorate(function: Registered) -> Registered:
            self[name or function.__name__] = entry(function) if entry else cast(Entry, function)
            return function

        return decorate
