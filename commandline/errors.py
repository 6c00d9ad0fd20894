"""Errors of a command: wrong requests, failed work, unknown names; commands to type."""

import difflib
import errno
import shlex
from collections.abc import Iterable
from pathlib import Path

from featurestack.commandline import CLONE, HOME, LOADED, NAME

MOST_QUOTED = 80  # characters of a cell in a message
LISTED_NAMES = 60  # a longer list hides the start of the message
# the work ran, and the disk or a limit ended it: exit status 1
SYSTEM_FAILED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,  # too many open files
    errno.EAGAIN,  # no further process or thread
)
NOT_WRITABLE = (  # the request named a wrong place: exit status 2
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,  # for instance a new folder below /proc
)


class Error(Exception):
    """An error of this project, with one sentence for the user."""


class RequestError(Error):
    """The request was wrong: exit status 2, and this one sentence for the user: what
    was given, what was expected, what to do.
    """


class Failed(Error):
    """The work ran and something in it failed: exit status 1 with this sentence."""


def shortened(cell: str) -> str:
    """The cell as a message quotes it: its beginning, if it is long."""
    return cell if len(cell) <= MOST_QUOTED else cell[: MOST_QUOTED - 1] + "…"


def closest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name that is most like the word, whatever its case, or None: the first
    that begins with it, else one as similar as `cutoff` (difflib's, 0 to 1).

    >>> closest("Mell", ["mel", "mfcc"]), closest("resnet", ["resnet18", "resnet50"])
    ('mel', 'resnet18')
    """
    by_folded = {name.casefold(): name for name in known}
    wanted = word.casefold()
    close = [name for name in sorted(by_folded) if name.startswith(wanted)]
    if len(word) < 3 or not close:
        close = difflib.get_close_matches(wanted, by_folded, n=1, cutoff=cutoff)
    return by_folded[close[0]] if close else None


def nearest(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for an unknown name: the nearest known one, then the list.

    >>> nearest("feature", "mell", ["mel", "mfcc"])
    "unknown feature 'mell'; did you mean 'mel'? Known: mel, mfcc"
    """
    names = sorted({*known})
    close = closest(word, names)
    hint = f"; did you mean {close!r}?" if close else "."
    shown = ", ".join(names[:LISTED_NAMES]) or "none"
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return f"unknown {kind} {word!r}{hint} Known: {shown}{more}"


def program() -> str:
    """The program as it is typed here: make in a clone, else featurestack."""
    try:
        return "make" if CLONE and Path.cwd().is_relative_to(HOME) else NAME
    except FileNotFoundError:  # the current folder was removed
        return NAME


def make_command(word: str, *given: str) -> str:
    """A command with its NAME=value words as the user types it, in a message.

    >>> make_command("bundle", "RUN=last")
    'make bundle RUN=last'
    """
    return " ".join([program(), word, *map(quoted, [*given, *load_words()])])


def load_words() -> list[str]:
    """The word LOAD=… that gives another process the same files."""
    return [f"LOAD={' '.join(LOADED)}"] if LOADED else []


def quoted(word: str) -> str:
    """The word as a shell reads it, NAME='a value'."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and value else shlex.quote(word)
