"""The few calls to the operating system that the protocol rests on, each with its fallback; and locks.

Locks are files of their own in `locks/`; the system drops them with the process that held them:

`<feature>.lock`   shared by whoever writes clips of it, exclusive for creating or replacing its file
`preparing.lock`   one run at a time looks what is there and creates files
`index.lock`       held while index.h5 and the CSV files are replaced
`runs.lock`        held for the moment in which a run is admitted, see claims.py
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from commandline.options import not_written
from commandline.registry import RequestError

BLOCK = 1 << 20  # bytes
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
LOCKS = "locks"
SPECIAL = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


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
    """A file, or the names in a folder, on the disk; a FIFO, which has nothing there, is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def draft_of(path: Path) -> Path:
    """The one name under which a file is prepared: whoever does so holds its lock alone."""
    return path.with_name(path.name + ".tmp")


@contextmanager
def replaced(path: Path, draft: Path | None = None, *, durable: bool = True) -> Iterator[Path]:
    """A draft to fill, which then takes the place of `path`; every file that is replaced is replaced here.

    draft    by default `draft_of(path)`; what a killed run left there is overwritten
    durable  also after a power cut, which costs 10 ms; without it only a kill is survived

    RequestError where `path` is there and no regular file. An OSError names `path`, which is as it was.
    """
    refuse_special(path)
    draft = draft_of(path) if draft is None else draft
    try:
        draft.unlink(missing_ok=True)
        yield draft
        if durable:
            sync(draft)
        draft.replace(path)
        if durable:
            with suppress(PermissionError):  # some systems open no folders
                sync(path.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def refuse_special(path: Path) -> None:
    """RequestError for a device, FIFO, socket or folder, or a link to one: a rename would destroy it.

    And where there is no folder to write in.
    """
    if not path.parent.is_dir():
        raise RequestError(f"{path}: there is no folder {path.parent}, make it or give another")
    if str(path.absolute()).startswith(("/proc/", "/sys/")):
        raise RequestError(f"{path} belongs to the system and is not replaced by a file: give another name")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = next((name for is_one, name in SPECIAL if is_one(mode)), "a device")
        raise RequestError(f"{path} is {kind} and is not replaced by a file: give the name of a file")
    if path.is_symlink() and str(path.readlink()).startswith("/proc/"):  # /dev/stdout
        raise RequestError(f"{path} is a link of the system and is not replaced by a file: give another name")


class Lock:
    """An flock, exclusive or shared; as a context manager it is exclusive and waits.

    busy  makes it wait for nobody: the RequestError where another process holds it

    Where a file system has no locks every request is granted: there PREPARE=1 and PART= keep runs apart.
    """

    def __init__(self, path: Path, *, create: bool = True, busy: str = "") -> None:
        self.path, self.busy = path, busy
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise not_written(path.parent.parent, error) from error

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Whether it was granted; what was held before is given up for it."""
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self.descriptor, kind)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS_HERE:
                raise
        return True

    def drop(self) -> None:
        """Give it up and keep its file open."""
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give it up and close its file; the file stays, since removing it would let two hold it."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        if not self.take(wait=not self.busy):
            self.release()
            raise RequestError(self.busy)
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def lock(folder: Path, name: str) -> Lock:
    """The lock of this name in a cache folder."""
    return Lock(folder / LOCKS / f"{name}.lock")
