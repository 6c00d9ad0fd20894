"""What the process does with memory that it has freed."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
NEVER = -1


def keep_freed_memory() -> None:
    """Have freed memory ready for the next tensor instead of giving it back to the system.

    glibc maps every large tensor anew, in zeroed pages that fault one by one: 90,000 faults and a twelfth of
    the time of a step of ResNet-18 on 32 x 3 x 128 x 431 values. pipeline.memory's bounds would not do:
    what it is told of as large ends at 32 MB, a quarter of an activation. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
