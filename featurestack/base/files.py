"""Files and folders that are made whole or not at all, their locks, and system calls.

Linux, macOS and Windows under WSL are supported. Native Windows has no POSIX locks and
is refused. Without mallopt memory is left to the C library; without prctl a thread of
the child watches its parent.
"""

import ctypes
import errno
import fcntl
import filecmp
import functools
import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Self

import psutil

from featurestack.base.errors import CLOSED, NOT_WRITABLE, RequestError
from featurestack.base.terminal import tell

LARGEST_INODE = 2**63 - 1  # that a column of the index holds
UNFINISHED = "unfinished"  # a dataset is made in the draft of this folder


def draft_of(path: Path) -> Path:
    """The name of a draft of `path`, which only this thread of this process has."""
    writer = f"{socket.gethostname()}.{os.getpid()}.{threading.get_native_id()}"
    return path.with_name(f".{path.name}.{writer}")


def remove_drafts(path: Path, *, locked: bool) -> None:
    """Remove the drafts of `path` whose processes on this host have ended, and if the
    caller has the lock under which drafts are made, those of other hosts too.
    """
    drafted = re.compile(rf"\.{re.escape(path.name)}\.(.+)\.(\d+)\.\d+")
    # a glob among a report's 700 tables took longer than writing
    for entry in os.scandir(path.parent):
        draft = drafted.fullmatch(entry.name)
        if draft is None:
            continue
        here = draft[1] == socket.gethostname()
        if not is_running(draft[2]) if here else locked:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry, ignore_errors=True)
            else:
                Path(entry).unlink(missing_ok=True)


@contextmanager
def named_errors(path: Path | str) -> Iterator[None]:
    """A context whose OSErrors name `path`, even those of open files and of HDF5."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def replaced(
    path: Path, *, locked: bool = True, durable: bool = True
) -> Iterator[Path]:
    """A draft to fill, which then takes the place of `path`; an OSError names `path`.

    locked   whether the caller has a lock for it: no other host is drafting it
    durable  whether it survives a power cut, for 10 ms more; it always survives a kill
    """
    refuse_special(path)
    draft = draft_of(path)
    remove_drafts(path, locked=locked)
    try:
        with named_errors(path):
            yield draft
            if durable:
                sync(draft)
            draft.replace(path)
            if durable:
                sync(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def replace_file(
    file: Path, content: bytes | str, *, durable: bool = True, parents: bool = False
) -> None:
    """Write a file whole or not at all, even while others do; text as UTF-8. `parents`
    makes the folders above it that are missing.
    """
    if parents:
        file.parent.mkdir(parents=True, exist_ok=True)
    with replaced(file, locked=False, durable=durable) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def refuse_special(path: Path) -> None:
    """RequestError if `path` is not a regular file, or its folder is missing."""
    if not path.parent.is_dir():
        raise RequestError(
            f"{path}: there is no folder {path.parent}, make it or give another"
        )
    # /dev/stdout leads to /proc
    link = str(path.readlink()) if path.is_symlink() else ""
    names = (str(path.absolute()), link)
    of_system = any(name.startswith(("/proc/", "/sys/")) for name in names)
    if of_system or (path.exists() and not path.is_file()):
        raise RequestError(
            f"{path} is not a regular file and is not replaced: give another name"
        )


class Lock:
    """An flock, exclusive or shared, dropped as its process ends; exclusive in `with`.

    create   whether the file is made if it is not there, else FileNotFoundError
    busy     text of a RequestError: `with` raises it instead of waiting
    waiting  text that `with` prints before it waits

    A file system without locks grants every request: there a job makes the files of
    a cache before others fill their PART=.
    """

    def __init__(
        self, path: Path, *, create: bool = True, busy: str = "", waiting: str = ""
    ) -> None:
        self.path, self.busy, self.waiting = path, busy, waiting
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        # another user's lock can be probed by who may only read it
        probed = not create and path.exists() and not os.access(path, os.W_OK)
        access = os.O_RDONLY if probed else os.O_RDWR
        self.descriptor = os.open(path, access | (os.O_CREAT if create else 0), 0o666)

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Give up a lock held, and take it anew; return whether it was granted."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        if not wait:
            kind |= fcntl.LOCK_NB
        try:
            fcntl.flock(self.descriptor, kind)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS_HERE:
                raise
        return True

    def drop(self) -> None:
        """Give the lock up and keep its file open."""
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def release(self) -> None:
        """Close the file, which stays: removing it would let two hold it."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        if self.take():
            return self
        if self.busy:
            self.release()
            raise RequestError(self.busy)
        if self.waiting:
            tell(f"{self.waiting}: this one waits")
        self.take(wait=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Whether others hold the lock of this file, or if `shared` hold it exclusively."""
    probe = Lock(path, create=False)
    try:
        return not probe.take(shared=shared)
    finally:
        probe.release()


def require_readable(folder: Path) -> None:
    """RequestError if this user may not see the files in a folder."""
    if is_folder(folder) and not os.access(folder, os.R_OK | os.X_OK):
        raise RequestError(f"{folder} {CLOSED}")


def require_writable(folder: Path) -> None:
    """PermissionError if this user may not write in a folder, or not make it; asked
    before long work whose result is written there.
    """
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def without_dots(path: Path) -> Path:
    """The absolute path without `..`. Links are kept, except a link directly before
    `..`.
    """
    path = path.absolute()
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    return plain if plain.resolve() == path.resolve() else path


# Path's methods raise PermissionError below a folder that may not be read.


def is_file(path: str | Path) -> bool:
    """Whether a path is a file; False if a folder above may not be read."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder; False if a folder above may not be read."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: str | Path) -> bool:
    """Whether there is a path; False if a folder above may not be read."""
    return os.path.exists(path)  # noqa: PTH110


def version_of(path: str | Path) -> tuple[int, int, int, int]:
    """Size, time of modification (ns), inode and time of change (ns) of a file; zeros
    if they cannot be read. Copying tools and recorders set the first two alike.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return 0, 0, 0, 0
    inode = status.st_ino & LARGEST_INODE
    return status.st_size, status.st_mtime_ns, inode, status.st_ctime_ns


_new_hash = functools.partial(hashlib.blake2b, digest_size=16)


def hash_of(content: bytes) -> str:
    """The hash that `content_hash` gives of a file with this content."""
    return _new_hash(content).hexdigest()


def content_hash(path: Path) -> str:
    """Hash of a regular file's content, 32 hexadecimal digits; else OSError."""
    if not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, _new_hash).hexdigest()


@contextmanager
def staged(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield an empty folder to fill; then move the files that `folder` lacks of its
    `parts` into it, in this order; RequestError if one is there with other content.

    A failure before leaves `folder` as it was. The caller holds `making(folder)`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_drafts(folder / UNFINISHED, locked=True)
    stage = draft_of(folder / UNFINISHED)
    try:
        stage.mkdir()
        yield stage
        absent = []
        for part in parts:
            for file in (stage / part, *sorted((stage / part).rglob("*"))):
                place = folder / file.relative_to(stage)
                if not place.exists():
                    absent.append((file, place))
                elif file.is_dir() != place.is_dir() or (
                    file.is_file() and not filecmp.cmp(file, place, shallow=False)
                ):
                    raise RequestError(
                        f"{place} already exists with other content and is not"
                        " replaced: move it, or give another folder, DATA="
                    )
        for file, place in absent:
            if file.is_dir():
                place.mkdir()
            else:
                file.replace(place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):  # it is not empty, or not there
            folder.rmdir()


def making(folder: Path) -> Lock:
    """The lock for making a dataset, next to its folder, which appears with its files;
    RequestError if nothing may be written.
    """
    try:
        return Lock(folder.with_name(f".{folder.name}.making.lock"))
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise RequestError(
            f"{folder} may not be written ({error.strerror}): DATA= names a folder of"
            " your own"
        ) from error


NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
# parameters of mallopt, <malloc.h>
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, PERTURB = -1, -3, -4, -6


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; skip anything else."""
    if path.is_file() or path.is_dir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_running(process: str) -> bool:
    return process.isdecimal() and len(process) < 10 and psutil.pid_exists(int(process))


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
