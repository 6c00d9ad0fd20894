"""Small compiled loops; a docstring names the librosa, scipy or numpy call with the
same result, if any.

numba compiles them when they are first called and keeps them on disk: beside their
module, or in the user's own folder if that place cannot be written. `python -m
pipeline.kernels` calls all of them. Arrays are (rows, frames), C-contiguous, so that
the inner loop runs over neighbouring frames and one instruction serves eight or sixteen
of them. Compiled functions declare no types: numba finds them when they are called.

The modules are loaded on first use (`kernels.hpss`): importing numba takes longer than
printing a list of features.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from featurestack.commandline.errors import RequestError

MODULES = ("constantq", "float16", "fourier", "hpss", "period", "spectrum")

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def __getattr__(name: str) -> ModuleType:
    if name not in MODULES:
        raise AttributeError(f"{__name__} has no {name}")
    return importlib.import_module(f"{__name__}.{name}")


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` of a function, with x / 0 infinite; RequestError if the compiled
    code cannot be kept.

    With Python's error for x / 0, a loop with a division is not vectorised.
    """
    from numba import njit

    try:
        kernel: Any = njit(cache=True, error_model="numpy")(function)
    except RuntimeError as error:
        here = Path(__file__).parent
        raise RequestError(
            f"compiled code has to be kept somewhere: neither {here} nor your home"
            " folder can be written; set the environment's NUMBA_CACHE_DIR to a folder"
            " that can"
        ) from error
    return kernel


def inlined(function: Kernel) -> Kernel:
    """Mark a function that only compiled functions call; it gets no entry from Python,
    and is inlined.

    The entry would take a third of the compile time. If LLVM decided what to inline,
    loops over medians would not be vectorised.
    """
    from numba.extending import register_jitable

    part: Kernel = register_jitable(error_model="numpy", forceinline=True)(function)
    return part
