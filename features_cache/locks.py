"""Locks are files of their own in `locks/`; the system drops them with the process that held them.

`<feature>.lock`   shared by whoever writes clips of it, exclusive for creating or replacing its file
`preparing.lock`   one run at a time looks what is there and creates files
`index.lock`       held while index.h5 and the CSV files are replaced
`runs.lock`        held for the moment in which a run is admitted, see claims.py
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from commandline import RequestError

FOLDER = "locks"
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Lock:
    """An flock, exclusive or shared; as a context manager it waits and is exclusive.

    Where a file system has no locks every request is granted: there PREPARE=1 and PART= keep runs apart.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RequestError(f"{path.parent.parent} cannot be written: {error.strerror}") from error

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
        self.take(wait=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def lock(folder: Path, name: str) -> Lock:
    """The lock of this name in a cache folder."""
    return Lock(folder / FOLDER / f"{name}.lock")
