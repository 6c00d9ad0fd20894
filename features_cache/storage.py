"""The few calls to the operating system that the protocol rests on, each with its fallback."""

import contextlib
import errno
import os
from pathlib import Path

BLOCK = bytes(1 << 20)
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def allocate(path: Path) -> None:
    """Give every byte of a file its place on the disk: a full disk says so here and not in mid-run."""
    with path.open("r+b") as file:
        length = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, length)
            return
        except AttributeError:
            pass  # a system without the call
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
    _rewrite(path, length)


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
    """A file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary(path: Path) -> Path:
    """The one name under which a file is prepared: its lock is held, so what lies there is a killed run's."""
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    return draft


def publish(draft: Path, path: Path) -> None:
    """The finished draft takes the place of `path`, now and after a power cut."""
    sync(draft)
    draft.replace(path)
    with contextlib.suppress(PermissionError):  # some systems open no folders
        sync(path.parent)


def _rewrite(path: Path, length: int) -> None:
    """Write what a sparse file reads as, so that it is sparse no more."""
    with path.open("r+b") as file:
        for start in range(0, length, len(BLOCK)):
            file.seek(start)
            block = file.read(len(BLOCK))
            file.seek(start)
            file.write(block)
