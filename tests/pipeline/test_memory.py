"""Freed arrays are kept for the next clip."""

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import numpy as np
from pipeline.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 20)  # 8 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Of fifty arrays made and freed in a process of their own."""
    return int(
        subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_freed_arrays_are_not_fetched_page_by_page_again() -> None:
    assert page_faults("keep") < 50 < page_faults("leave as it is")
