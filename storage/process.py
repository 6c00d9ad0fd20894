"""System calls on a process: its memory, its parent, the start of its system.

Without mallopt memory is left to the C library; without prctl a thread of the child
watches its parent.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
# parameters of mallopt, <malloc.h>
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, PERTURB = -1, -3, -4, -6


def boot_id() -> str:
    """The running system's id; every restart changes it."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    return (
        linux.read_text().strip()
        if linux.exists()
        else f"started at {psutil.boot_time():.0f}"
    )


def become_child() -> None:
    """Make this process a worker: it ignores Ctrl-C, which its parent answers, and ends
    with its parent.

    Linux's kernel ends it; on other systems, and if the parent died before this call, a
    thread does.
    """
    parent = multiprocessing.parent_process()
    assert parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def set_malloc(parameter: int, value: int) -> None:
    """Call glibc's mallopt; do nothing with another C library."""
    mallopt = (
        getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    )
    if mallopt:
        mallopt(parameter, value)
