"""Small compiled loops, each equal to the librosa, scipy or numpy call that its docstring names.

They are compiled by numba when first called and kept on disk: beside their module, or in the user's own
folder where that cannot be written. Arrays are (rows, frames), C-contiguous, so that the inner loop runs over
neighbouring frames and one instruction serves eight or sixteen of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

from commandline.registry import RequestError

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` of a function, in which x / 0 is infinite; RequestError where the result cannot be kept.

    Python's error for x / 0 would keep a loop with a division from being vectorised.
    """
    try:
        kernel: Any = njit(cache=True, error_model="numpy")(function)
    except RuntimeError as error:
        here = Path(__file__).parent
        raise RequestError(
            f"compiled code has to be kept somewhere: neither {here} nor your home folder can be written; "
            "set the environment's NUMBA_CACHE_DIR to a folder that can"
        ) from error
    return kernel
