"""The place of the packages, two names for one module, and callable packages.

A package with the name of a command is called as it, `fs.train(…)`. In a clone
`train` and `featurestack.train` are one module, so that `python -m train` works.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "featurestack"  # the installed package and its distribution
HOME = Path(__file__).resolve().parents[1]  # the folder of all packages
# otherwise an installed copy, which has no Makefile
CLONE = (HOME / "pyproject.toml").exists()
# package -> the function as which it is called; featurestack/__init__.py fills it
CALLED: dict[str, Callable[[], Callable[..., Any]]] = {}


def enter(name: str) -> None:
    """Enter a package; its `__init__` calls this with its `__name__`."""
    home, _, package = name.rpartition(".")
    if home != NAME:
        FINDER.packages.add(name)
        sys.modules[name] = importlib.import_module(f"{NAME}.{name}")
    elif package in CALLED:
        sys.modules[name].__class__ = CalledPackage


class CalledPackage(ModuleType):
    # A package that is also a function, with its docstring.

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return CALLED[self.__name__.rpartition(".")[2]]()

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.__wrapped__.__doc__

    def __call__(self, *positional: Any, **keywords: Any) -> Any:
        return self.__wrapped__(*positional, **keywords)


class OneModule(MetaPathFinder, Loader):
    """Finds `train.plan` as the module `featurestack.train.plan`."""

    def __init__(self) -> None:
        self.packages: set[str] = set()  # those imported without NAME

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package not in self.packages or not module or module.endswith("__main__"):
            return None
        spec = importlib.util.find_spec(f"{NAME}.{name}")
        if spec is None:
            return None
        return ModuleSpec(name, self, is_package=bool(spec.submodule_search_locations))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{NAME}.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run under its own name, whose specification it keeps."""
        assert module.__spec__
        module.__spec__ = module.__spec__.loader_state


FINDER = OneModule()
sys.meta_path.insert(0, FINDER)
