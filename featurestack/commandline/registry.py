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
from typing import Any, TypeVar

from featurestack.commandline import DEFINING, LOADED
from featurestack.commandline.errors import RequestError, nearest

Entry = TypeVar("Entry")
Registered = TypeVar("Registered", bound=Callable[..., object])


class Registry(dict[str, Entry]):
    """A dictionary that refuses unknown names and a second entry of a name."""

    def __init__(
        self,
        subject: str,
        entries: Mapping[str, Entry] = MappingProxyType({}),
        others: Sequence[str] = (),
        special: Mapping[str, str] = MappingProxyType({}),
        extensible: bool = False,
    ) -> None:
        """`subject` is the word for an entry in messages, such as "model".

        others      modules that enter what few commands use; they are imported when a
                    name is missing
        special     entries that only their name chooses, and the module of each
        extensible  whether files of LOAD= may add entries
        """
        super().__init__(entries)
        self.subject = subject
        self.others = [*others]
        self.special = dict(special)
        self.extensible = extensible
        # names that a user's script or notebook registered
        self.of_script: set[str] = set()

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self:
            raise ValueError(
                f"{self.subject} {name!r} is registered twice: {self[name]} and {entry}"
            )
        super().__setitem__(name, entry)

    def knows(self, name: str) -> bool:
        """Whether there is an entry of this name, loaded or not."""
        return name in self.special or self.find(name) is not None

    def find(self, name: str) -> Entry | None:
        """The entry of this name, from another module if need be; None without one."""
        if name in self.special and name not in self:
            importlib.import_module(self.special[name])
        while name not in self and self.others:
            importlib.import_module(self.others.pop(0))
        return self.get(name)

    def complete(self) -> dict[str, Entry]:
        """The entries of all `others` too, without the special ones."""
        while self.others:
            importlib.import_module(self.others.pop(0))
        return {name: entry for name, entry in self.items() if name not in self.special}

    def __missing__(self, name: str) -> Entry:
        known = self.find(name)
        if known is not None:
            return known
        usual = [entry for entry in self if entry not in self.special]
        message = nearest(self.subject, name, usual, self.special)
        if self.extensible:
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
