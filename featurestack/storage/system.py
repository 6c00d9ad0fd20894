"""System calls on files and processes. Those that some systems lack have a fallback.

Linux, macOS and Windows under WSL are supported. Native Windows has no POSIX locks and
is refused. Without mallopt memory is left to the C library; without prctl a thread of
the child watches its parent.
"""

import ctypes
import errno
import fcntl
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from pathlib import Path

import psutil

NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
BLOCK = 1 << 20  # bytes
NO_ALLOCATION_HERE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
# parameters of mallopt, <malloc.h>
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, PERTURB = -1, -3, -4, -6


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; skip anything else."""
    if path.is_file() or path.is_dir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def flock(descriptor: int, *, shared: bool, wait: bool) -> bool:
    """Whether an flock was granted, as it always is on a file system without locks."""
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
    return True


def release_flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_running(process: str) -> bool:
    return process.isdecimal() and len(process) < 10 and psutil.pid_exists(int(process))


def allocate(path: Path) -> None:
    """Reserve a file's disk space, so that a full disk fails now."""
    with path.open("r+b", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except (AttributeError, OSError) as error:
            # macOS, or a file system, lacks the call
            if isinstance(error, OSError) and error.errno not in NO_ALLOCATION_HERE:
                raise
            # writing what was read fills the holes
            for start in range(0, length, BLOCK):
                file.seek(start)
                write_at(file.fileno(), file.read(BLOCK), start)


def boot_id() -> str:
    """The running system's id; every restart changes it."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text().strip()
    return f"started at {psutil.boot_time():.0f}"


def become_child() -> None:
    """Make this process a worker, which ignores Ctrl-C and ends with its parent."""
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
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(parameter, value)
