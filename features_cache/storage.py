"""The few calls to the operating system that the protocol rests on, each with its fallback."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCK = 1 << 20  # bytes
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def allocate(path: Path) -> None:
    """Give every byte of a file its place on the disk: a full disk says so here and not in mid-run."""
    with path.open("r+b", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except (AttributeError, OSError) as error:  # a system, or a file system, without the call
            if isinstance(error, OSError) and error.errno not in UNSUPPORTED:
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
    """A file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def draft_of(path: Path) -> Path:
    """The one name under which a file is prepared: whoever does so holds its lock alone."""
    return path.with_name(path.name + ".tmp")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A draft to fill, which then takes the place of `path`; what a killed run left there is overwritten."""
    draft = draft_of(path)
    draft.unlink(missing_ok=True)
    try:
        yield draft
        publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def publish(draft: Path, path: Path) -> None:
    """The finished draft takes the place of `path`, now and after a power cut."""
    sync(draft)
    draft.replace(path)
    with suppress(PermissionError):  # some systems open no folders
        sync(path.parent)
