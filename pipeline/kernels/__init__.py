"""Small compiled loops; docstrings name the library call that gives the same result.

numba compiles them when they are first called and caches them on disk. Arrays are
(rows, frames), C-contiguous, so that the inner loop runs over neighbouring frames and
one instruction handles eight or sixteen of them. The modules are loaded on first use
(`kernels.hpss`), because importing numba takes longer than printing a list of features.
"""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from featurestack.base.errors import RequestError

MODULES = ("fourier", "hpss", "pitch", "spectrum")

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def __getattr__(name: str) -> ModuleType:
    if name not in MODULES:
        raise AttributeError(f"{__name__} has no {name}")
    return importlib.import_module(f"{__name__}.{name}")


def are_compiled() -> bool:
    """Whether there is compiled code where numba looks for it."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(__file__).parent / "__pycache__"
    places = [Path(named)] if named else [beside, Path.home() / ".cache" / "numba"]
    return any(next(place.rglob("*.nbi"), None) for place in places)


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` with x / 0 infinite: Python's error would prevent vectorisation."""
    from numba import njit

    try:
        kernel: Any = njit(cache=True, error_model="numpy")(function)
    except RuntimeError as error:
        here = Path(__file__).parent
        raise RequestError(
            f"compiled code has to be kept somewhere, but neither {here} nor your home"
            " folder can be written: set the environment variable NUMBA_CACHE_DIR to a"
            " folder that can"
        ) from error
    return kernel


def inlined(function: Kernel) -> Kernel:
    """Decorator for a function that only compiled functions call: without an entry
    point for Python it compiles a third faster, and loops over medians are vectorised.
    """
    from numba.extending import register_jitable

    part: Kernel = register_jitable(error_model="numpy", forceinline=True)(function)
    return part
