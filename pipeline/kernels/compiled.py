"""How every kernel is compiled: once, and kept on disk for all processes.

numba keeps it beside the module, or in the user's own folder where that cannot be written.
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
