"""Disk space is reserved before a long run."""

import errno
import os
from pathlib import Path

from featurestack.storage.system import write_at

BLOCK = 1 << 20  # bytes
NO_ALLOCATION_HERE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def allocate(path: Path) -> None:
    """Reserve disk space for every byte of a file, so that a full disk fails here and
    not in mid-run.
    """
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
