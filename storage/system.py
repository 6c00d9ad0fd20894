"""What only some systems have, each with a fallback: a port is a change of this file.

Linux, macOS and Windows under WSL are tested. Where there are no locks they are granted to everybody; where a
call is missing, memory is left to the C library, and a child watches its parent by a thread.
"""

import ctypes
import errno
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import nullcontext, suppress
from multiprocessing.connection import wait
from pathlib import Path

import psutil

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK = 1 << 20  # bytes
NO_ALLOCATION_HERE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, PERTURB = -1, -3, -4, -6  # parameters of mallopt, <malloc.h>


def allocate(path: Path) -> None:
    """Give every byte of a file its place on the disk: a full disk says so here and not in mid-run."""
    with path.open("r+b", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except (AttributeError, OSError) as error:  # a system, or a file system, without the call
            if isinstance(error, OSError) and error.errno not in NO_ALLOCATION_HERE:
                raise
            for start in range(0, length, BLOCK):  # written as it reads, it is sparse no more
                file.seek(start)
                write_at(file.fileno(), file.read(BLOCK), start)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """All of `data` at `offset`."""
    rest = memoryview(data).cast("B")
    while rest:
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, rest, offset)
        else:  # nobody else uses this descriptor, so its position is ours
            os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, rest)
        offset += written
        rest = rest[written:]


def sync(path: Path) -> None:
    """A file, or the names in a folder, on the disk; a FIFO, which has nothing there, is not waited for."""
    if path.is_file() or path.is_dir():
        with suppress(PermissionError) if path.is_dir() else nullcontext():  # some systems open no folders
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def flock(descriptor: int, *, shared: bool, wait: bool) -> bool:
    """Whether an flock was granted, as it always is where the system or the file system has none."""
    if fcntl is None:
        return True
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
    """Give an flock up."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def boot_id() -> str:
    """Of the system as it runs now; another one after every restart."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    return linux.read_text().strip() if linux.exists() else f"started at {psutil.boot_time():.0f}"


def is_running(process: str) -> bool:
    """Whether a process of this number runs on this machine; os.kill(0) would be Ctrl-C on Windows."""
    return process.isdecimal() and len(process) < 10 and psutil.pid_exists(int(process))


def become_child() -> None:
    """Of a process that works for its parent: Ctrl-C is the parent's to answer, and both end together.

    Linux's kernel sees to the latter; elsewhere, and where the kernel came too late, a thread does.
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
    """glibc's mallopt; nothing with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(parameter, value)
