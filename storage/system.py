"""System calls on files. Those that some POSIX systems lack have a fallback.

Linux, macOS and Windows under WSL are supported. Native Windows has no POSIX locks and
is refused.
"""

import errno
import fcntl
import os
from pathlib import Path

import psutil

NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; skip anything else, since
    opening a FIFO waits.
    """
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
    """Give an flock up."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_running(process: str) -> bool:
    """Whether a process with this id runs on this machine."""
    return process.isdecimal() and len(process) < 10 and psutil.pid_exists(int(process))
