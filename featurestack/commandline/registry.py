"""Registries: things by name, each entered by decorating a function or class.

    MODELS: Registry[Model] = Registry("model")

    @MODELS.register()
    def texturenet(shape): ...

    MODELS["texturenet"]  # the function
    MODELS["texturnet"]   # RequestError: unknown model; did you mean 'texturenet'?

If an entry holds more than the function, a decorator for the registry wraps `register`.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from featurestack.commandline import DEFINING, LOADED, rooms
from featurestack.commandline.errors import RequestError

Entry = TypeVar("Entry")
Registered = TypeVar("Registered", bound=Callable[..., object])


class Registry(dict[str, Entry]):
    """A dictionary that refuses unknown names and a second entry of a name."""

    def __init__(
        self,
        subject: str,
        entries: Mapping[str, Entry] = MappingProxyType({}),
        rooms: rooms.Kind | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """`subject` is the word for an entry in messages, such as "model"; a kind of
        `rooms` adds entries of rooms. `others` are modules that enter what few
        commands use; they are imported when a name is missing.
        """
        super().__init__(entries)
        self.subject = subject
        self.rooms = rooms
        self.others = [*others]
        # names that a user's script or notebook registered
        self.of_script: set[str] = set()

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self:
            raise ValueError(
                f"{self.subject} {name!r} is registered twice: {self[name]} and {entry}"
            )
        super().__setitem__(name, entry)

    def everything(self) -> dict[str, Entry]:
        """All entries that can be used by their name alone, those of rooms too."""
        found = {**self.complete()}
        for name, addition in self._added().items():
            if self.rooms and not addition.needs:
                for entry in rooms.loaded(self.rooms, only=[name]):
                    found.setdefault(name, entry)
        return found

    def knows(self, name: str) -> bool:
        """Whether the core, a room or the user's own code has this name."""
        return self.find(name) is not None or name in self._added()

    def _added(self) -> Mapping[str, rooms.Addition]:
        return rooms.names(self.rooms) if self.rooms else {}

    def find(self, name: str) -> Entry | None:
        """The entry of this name, from one of `others` if need be; None without one."""
        while name not in self and self.others:
            importlib.import_module(self.others.pop(0))
        return self.get(name)

    def complete(self) -> Self:
        """The registry with the entries of all `others`."""
        while self.others:
            importlib.import_module(self.others.pop(0))
        return self

    def __missing__(self, name: str) -> Entry:
        known = self.find(name)
        if known is not None:
            return known
        added = self._added()
        if self.rooms and name in added:
            loaded: Entry = rooms.load(self.rooms, name)
            return loaded
        message = rooms.unknown(self.subject, name, [*self, *added])
        if self.rooms:
            message += "; LOAD=FILE.py adds those of a file of your own"
        raise RequestError(message)

    def register(
        self, name: str = "", entry: Callable[[Any], Any] = lambda function: function
    ) -> Callable[[Registered], Registered]:
        """Decorator: enter `entry(function)` under the function's name or `name`."""

        def decorate(function: Registered) -> Registered:
            key = name or function.__name__
            if key in self.of_script:  # a notebook's cell runs again
                del self[key]
            if not function.__module__.startswith("featurestack."):
                self.complete()  # a name that the product has is refused now
            self[key] = entry(function)
            if function.__module__ == "__main__":
                self.of_script.add(key)
            note_file(function)
            return function

        return decorate


def note_file(function: Callable[..., object]) -> None:
    """Note the user's own file that a registered function comes from."""
    if function.__module__ == "__main__":
        script = str(getattr(sys.modules["__main__"], "__file__", ""))
        DEFINING[Path(script).name] = None
    for file, module in LOADED.items():
        if module == function.__module__:
            DEFINING[file] = None


def first_sentence(described: object) -> str:
    """The first paragraph of a docstring in one line, empty without a docstring."""
    paragraph = (inspect.getdoc(described) or "").split("\n\n")[0]
    return " ".join(paragraph.split())
