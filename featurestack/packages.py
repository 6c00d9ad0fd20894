"""Two names for one module, and packages that can be called.

A package that bears the name of a command is called as it: `fs.train(…)` trains, and
`import featurestack.train.plan` finds a module.

In a clone a package can be imported by two names, `train` and `featurestack.train`, so
that `python -m train` works. Both names mean one module.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

HOME = "featurestack"
COMMANDS = ("train",)  # packages that are called


def enter(name: str) -> None:
    """Enter a package; its `__init__` calls this with its `__name__`."""
    home, _, package = name.rpartition(".")
    if home != HOME:
        FINDER.packages.add(name)
        sys.modules[name] = importlib.import_module(f"{HOME}.{name}")
    elif package in COMMANDS:
        sys.modules[name].__class__ = CommandPackage


class CommandPackage(ModuleType):
    # A package that is also the function of its name, with its docstring.

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function of interface.py."""
        from featurestack import interface

        name = self.__name__.rpartition(".")[2]
        function: Callable[..., Any] = vars(interface)[name]
        return function

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__wrapped__.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__wrapped__)

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        return self.__wrapped__(*positional, **keywords)


class OneModule(MetaPathFinder, Loader):
    """Finds `train.plan` as the module `featurestack.train.plan`."""

    def __init__(self) -> None:
        self.packages: set[str] = set()  # those imported without HOME

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package not in self.packages or not module or module.endswith("__main__"):
            return None
        spec = importlib.util.find_spec(f"{HOME}.{name}")
        if spec is None:
            return None
        return ModuleSpec(name, self, is_package=bool(spec.submodule_search_locations))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{HOME}.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run under its own name, whose specification it keeps."""
        assert module.__spec__
        module.__spec__ = module.__spec__.loader_state


FINDER = OneModule()
sys.meta_path.insert(0, FINDER)
