"""Small compiled loops, each equal to the librosa, scipy or numpy call that its docstring names.

They are compiled by numba when first called and kept on disk: beside their module, or in the user's own
folder where that cannot be written. Arrays are (rows, frames), C-contiguous, so that the inner loop runs over
neighbouring frames and one instruction serves eight or sixteen of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

from commandline import RequestError

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` of a function; RequestError where there is no folder to keep the result in."""
    try:
        kernel: Any = njit(cache=True)(function)
    except RuntimeError as error:
        here = Path(__file__).parent
        raise RequestError(
            f"compiled code has to be kept somewhere: neither {here} nor your home folder can be written; "
            "set the environment's NUMBA_CACHE_DIR to a folder that can"
        ) from error
    return kernel
