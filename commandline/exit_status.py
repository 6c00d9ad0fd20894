"""The sentence and the exit status of an error that ended a command."""

import errno
import os
import shlex
import sys

from featurestack.commandline.errors import (
    NOT_WRITABLE,
    SYSTEM_FAILED,
    Failed,
    RequestError,
)
from featurestack.commandline.faults import failed_by
from featurestack.commandline.options import SURROGATE
from featurestack.commandline.packages import HOME
from featurestack.commandline.terminal import tell

NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)
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
        tell("\nstopped; the same command goes on from here")
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
