"""Errors of a command: wrong requests, failed work, unknown names.

What an error carries is given by position, so that it can be pickled.
"""

import difflib
import errno
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_path

from featurestack.base import NAME
from featurestack.base.quantities import counted
from featurestack.base.shell import install_command, make_command

MOST_QUOTED = 80  # characters of a cell in a message
LISTED_NAMES = 8  # of a longer list a message has those most like the unknown name
# kind of a name -> the command that lists all
LISTS = {"feature": "show", "model": "models", "network": "network", "run": "runs"}
LISTS |= {"variable": "help ALL=1", "command": "help"}
# files of Python and of installed libraries, which are not the user's
LIBRARY = re.compile(f"<frozen|.*site-packages|{re.escape(get_path('stdlib'))}")
# the work ran, and the disk or a limit ended it: exit status 1
SYSTEM_FAILED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,  # too many open files
    errno.EAGAIN,  # no more processes or threads
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
CLOSED = "may not be read: change its permissions (chmod)"


class Error(Exception):
    """An error of this project, with one sentence for the user."""


class RequestError(Error, ValueError):
    """The request was wrong: exit status 2, and this one sentence for the user: what
    was given, what was expected, what to do.
    """


class Failed(Error):
    """The work ran and something in it failed: exit status 1 with this sentence."""


def shortened(cell: str) -> str:
    """The cell as a message quotes it: its beginning, if it is long."""
    return cell if len(cell) <= MOST_QUOTED else cell[: MOST_QUOTED - 1] + "…"


def one_line(error: BaseException) -> str:
    """The text of a library's error in one line; its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """An unforeseen error in words: its type, except for a ValueError of this project,
    its text, and the file and line of the user's own code in which it was raised.
    """
    ours, place = False, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        # code that a worker has received knows its file by `__file__` alone
        file = frame.f_globals.get("__file__") or frame.f_code.co_filename
        ours = frame.f_globals.get("__name__", "").startswith(f"{NAME}.")
        if not (ours or LIBRARY.match(file)):
            place = f" ({Path(file).name}, line {line})"
    kind = "" if ours and type(error) is ValueError else f"{type(error).__name__}: "
    return kind + str(error).partition("\n")[0] + place


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like the word, whatever its case, or None: the first
    that begins with it, else one as similar as `cutoff` (difflib's, 0 to 1).

    >>> closest("Mell", ["mel", "mfcc"]), closest("resnet", ["resnet18", "cnn4"])
    ('mel', 'resnet18')
    """
    by_folded = {name.casefold().lstrip("-"): name for name in known}
    wanted = word.casefold().lstrip("-")
    close = [name for name in sorted(by_folded) if name.startswith(wanted)]
    if len(wanted) < 3 or not close:
        close = difflib.get_close_matches(wanted, sorted(by_folded), 1, cutoff)
    return by_folded[close[0]] if close else None


def nearest(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for an unknown name: the most similar known name, then all known
    names, or the most similar ones if there are many.

    >>> nearest("feature", "mell", ["mel", "mfcc"])
    "unknown feature 'mell'; did you mean 'mel'? Known: mel, mfcc"
    """
    names = sorted({*known})
    close = closest(word, names)
    hint = f"; did you mean {close!r}?" if close else "."
    every = ""
    if len(names) > LISTED_NAMES and kind in LISTS:
        every = f" ({make_command(*LISTS[kind].split())} lists all)"
    return f"unknown {kind} {word!r}{hint} Known: {most_alike(word, names)}{every}"


def most_alike(word: str, names: Sequence[str]) -> str:
    """The names for a message; if there are many, only those most similar to the word.

    >>> most_alike("mel", ["mel", "mfcc"]), most_alike("c", "abcdefghij")
    ('mel, mfcc', 'c, j, i, h, g, f, e, d and 2 more')
    """
    if len(names) <= LISTED_NAMES:
        return ", ".join(names) or "none"
    near = difflib.get_close_matches(word, names, LISTED_NAMES, cutoff=0.0)
    return f"{', '.join(near)} and {len(names) - LISTED_NAMES} more"


def see(page: str) -> str:
    """The place of a page of the documentation, in brackets, '' if it is not here."""
    file, _, _ = page.partition("#")
    return f" (docs/{page})" if Path("docs", file).is_file() else ""


def refuse_newer(file: Path | str, version: object, ours: int) -> None:
    """RequestError for a file of a later version of this program."""
    if isinstance(version, int) and version > ours:
        raise RequestError(
            f"{file} has format {version}, made by a newer version of this program."
            f" This one reads {ours} and does not replace it: install the newer version"
            " or give another place"
        )


class OutdatedFeature(RequestError):
    """A feature of other audio than the clips, or of other code than is here."""


@dataclass(eq=False)
class UnreadableClips(RequestError):
    """Clips of a feature that cannot be read."""

    feature: str
    reasons: Mapping[str, str]  # clip id -> why it cannot be read
    remedy: str = "extract it again"

    def __str__(self) -> str:
        named = list(self.reasons.items())[:3]
        first = "; ".join(f"{clip}: {reason}" for clip, reason in named)
        return (
            f"{counted(len(self.reasons), 'clip')} of {self.feature} cannot be read"
            f" ({first}): {self.remedy}"
        )


@dataclass(eq=False)
class DamagedFile(RequestError):
    """A cache file that cannot be read."""

    reason: str  # names the file and says why
    remedy: str = "extract it again"

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


@contextmanager
def needed(extra: str, subject: str) -> Iterator[None]:
    """A context in which a missing library is a RequestError with what installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(NAME):
            raise
        install = install_command(extra)
        raise RequestError(f"{subject} needs {error.name}: {install}") from None
