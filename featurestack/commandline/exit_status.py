"""The sentence and the exit status of an error that ended a command; if nobody foresaw
it, a file with its traceback.
"""

import errno
import os
import shlex
import sys
import traceback
from pathlib import Path

from featurestack.commandline import HOME
from featurestack.commandline.errors import (
    NOT_WRITABLE,
    SYSTEM_FAILED,
    Failed,
    RequestError,
)
from featurestack.commandline.options import SURROGATE
from featurestack.commandline.terminal import tell

NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)
UNFORESEEN = "the details are in"  # every such sentence has these words
READING = ("file", "path", "folder")  # names of variables that hold what is read
AROUND_BYTE = 30  # characters around a byte that is not UTF-8, in a message


def tell_error(error: Exception | KeyboardInterrupt) -> int:
    """Tell an error in one sentence; the exit status."""
    if isinstance(error, RequestError):
        tell(f"error: {error}")
        return 2
    if isinstance(error, Failed):
        tell(f"failed: {error}")
        return 1
    if isinstance(error, KeyboardInterrupt):
        tell("\nstopped; run the same command again to resume")
        return 130
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody reads our output any more
        return 1
    if isinstance(error, ModuleNotFoundError) and (command := activation()):
        tell(f"error: this Python lacks {error.name}: {command}")
        return 2
    if isinstance(error, UnicodeEncodeError) and SURROGATE.match(
        error.object, error.start
    ):
        first = max(0, error.start - AROUND_BYTE)
        around = error.object[first : error.end + AROUND_BYTE]
        tell(f"error: {around!a} is not UTF-8: rename this file or folder")
        return 2
    if isinstance(error, OSError) and error.errno in (*SYSTEM_FAILED, *NOT_WRITABLE):
        file = f"{error.filename}: " if error.filename else ""
        remedy = ""
        if error.errno == errno.EMFILE:
            remedy = ": raise the limit of this shell, ulimit -n"
        if error.errno in NOT_PERMITTED:
            remedy = (
                ": change the permissions (chmod), or name folders of your own by"
                " DATA=, RUNS= and REPORTS="
            )
        tell(f"error: {file}{os.strerror(error.errno)}{remedy}")
        return 1 if error.errno in SYSTEM_FAILED else 2
    if isinstance(error, MemoryError):
        tell(f"failed: the memory does not suffice ({error or 'no number known'})")
        return 1
    tell(f"failed: {failed_by(error)}")
    return 1


def activation() -> str:
    """The command that activates the environment with our libraries, if this is another
    Python than its own.
    """
    if not (HOME / ".venv").is_dir() or sys.prefix != sys.base_prefix:
        return ""
    activate = shlex.quote(f"{HOME}/.venv/bin/activate")
    return f"activate the environment that has it: . {activate}"


def failed_by(error: Exception) -> Failed:
    """The failure that a user is told of: the kind of error, what was being read, and
    where its traceback is.
    """
    read = f", while reading {file}" if (file := being_read(error)) else ""
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return Failed(
        f"{reason}{read}. Files that were there before are whole; {UNFORESEEN}"
        f" {details(error)}"
    )


def being_read(error: BaseException) -> str:
    """The file that the innermost of our functions held when the error was raised."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in READING:
            if isinstance(held := frame.f_locals.get(name), Path):
                found = str(held)
    return found


def details(error: BaseException) -> str:
    """Write the traceback to a new file, and return its path."""
    import tempfile  # late: it does not load where native Windows is played by a test

    with tempfile.NamedTemporaryFile(
        "w", prefix="featurestack-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name
