"""What a process does with memory that it has freed: keeps it for the next clip, or gives it back."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGEST_KEPT = 32 << 20  # bytes of one array, the most that glibc allows
KEPT = 256 << 20  # bytes in all


def keep_freed_memory() -> None:
    """Keep freed arrays for the next clip, where the C library is glibc; elsewhere do nothing.

    By default glibc gives arrays of more than 128 kB back to the system at once, and the system hands out
    the next one page by page, zeroed. A clip has a hundred of them: that was a fifth of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def give_back_freed_memory() -> None:
    """Give what is free inside the heap back to the system, where the C library is glibc.

    Making a table of a million clips leaves 80 MB of it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
