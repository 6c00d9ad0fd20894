"""Messages, warnings, tables and progress on the terminal."""

import contextlib
import functools
import io
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from featurestack.base import NAME

if TYPE_CHECKING:
    from tqdm import tqdm

Bar: TypeAlias = "tqdm[Any]"
QUIET_SECONDS = 2  # shorter work shows no bar
quiet = 0  # calls in which `silenced` is in force
output: Any = None  # standard output, while it is silenced
silencing = threading.Lock()
# C0 but tab and line feed, delete, C1, line separators, directions, bytes not UTF-8
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)
NUMBER_OR_NONE = re.compile(r"[-+−]*\d|-?$")  # in a column of numbers
LOG_SECONDS = 60  # between two lines of progress in a log
LOG_FORMAT = (
    "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"
)
BAR_FORMAT = (
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining},"
    " {rate_noinv_fmt}{postfix}]"
)


def printable(text: str) -> str:
    r"""The text with control characters escaped, except line breaks and tabs: names of
    classes and files come from elsewhere, and a terminal obeys them.

    >>> printable("dog\x1b]0;title\x07 \u202egod")
    'dog\\x1b]0;title\\x07 \\u202egod'
    """
    return CONTROL.sub(lambda character: ascii(character[0])[1:-1], text)


def text_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Aligned columns, numbers to the right; control characters are escaped."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    columns = []
    for column in zip(header, *cells, strict=True):
        width = max(map(len, column))
        values = column[1:]
        if values and all(map(NUMBER_OR_NONE.match, values)):
            columns.append([cell.rjust(width) for cell in column])
        else:
            columns.append([cell.ljust(width) for cell in column])
    lines = ["  ".join(row).rstrip() for row in zip(*columns)]
    return "\n".join(lines)


def open_output() -> None:
    """Escape what the output's encoding lacks; drop text for a closed output."""
    for name in ("stdout", "stderr"):
        output = getattr(sys, name)
        if output is None:  # closed by `>&-`
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, nowhere)
        elif isinstance(output, io.TextIOWrapper) and output.encoding != "utf-8":
            output.reconfigure(errors="backslashreplace")


# what puts a notice into the words of its reader: options for a command, keywords for
# a function of Python
WORDING: ContextVar[Callable[[str], str]] = ContextVar("WORDING", default=str)


class Notice(UserWarning):
    """What the caller of a function must not miss, even if it is quiet."""


class Printable:
    """A text file in which control characters are escaped."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, text: str) -> int:
        return self.file.write(printable(text))


class _LogLines:
    """A file for tqdm in which each state of the bar is a line."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line and sys.stderr is not None:
            print(printable(line), file=sys.stderr)


# Arguments of tqdm, `mininterval` in seconds, `miniters` in steps.
ON_A_TERMINAL = dict[str, Any](
    bar_format=BAR_FORMAT, mininterval=0.2, dynamic_ncols=True
)
IN_A_LOG = dict[str, Any](
    file=_LogLines(),
    bar_format=LOG_FORMAT,
    mininterval=LOG_SECONDS,
    miniters=1,  # of more, tqdm's monitor prints a state that the next update repeats
)


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    label: str,
    unit: str,
) -> Bar:
    """A tqdm bar after two seconds; one line per minute if stderr is not a terminal."""
    from tqdm import tqdm

    bar = ON_A_TERMINAL if sys.stderr and sys.stderr.isatty() else IN_A_LOG
    return tqdm(
        iterable,
        total=total,
        desc=printable(label),
        unit=f" {unit}",
        delay=QUIET_SECONDS,
        leave=False,
        position=0,  # even if an error left another bar open
        disable=quiet > 0,
        **bar,
    )


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """A context that prints nothing; the last of the threads restores the output."""
    global quiet, output
    with silencing:
        quiet += 1
        if quiet == 1:
            output, sys.stdout = sys.stdout, io.StringIO()
    try:
        yield
    finally:
        with silencing:
            quiet -= 1
            if quiet == 0:
                sys.stdout = output


def tell(text: str) -> None:
    """Print on standard error, with control characters escaped."""
    if not quiet and sys.stderr is not None:
        print(printable(WORDING.get()(text)), file=sys.stderr, flush=True)


def status_of(whole: bool) -> int:
    """The exit status of a command that may have left out what failed, and says so."""
    if not whole:
        tell("exit status 1: what failed is named above, and the report leaves it out")
    return 0 if whole else 1


@functools.cache
def tell_once(text: str) -> None:
    """`tell`, but each text once in a process: several runs would repeat it."""
    tell(text)


def warn(text: str) -> None:
    """A Notice, which `quiet` does not silence, at the line of the user's code that
    called this project; a command prints it.
    """
    level = 2  # of the line that calls this function
    for frame, _ in traceback.walk_stack(sys._getframe(1)):
        if not frame.f_globals.get("__name__", "").startswith(f"{NAME}."):
            break
        level += 1
    warnings.warn(WORDING.get()(text), Notice, stacklevel=level)


def tell_warnings() -> None:
    """Show each later warning of a library once, in one line without its path and code.

    RuntimeWarnings, such as numpy's of overflow, are left out: the code that uses a
    result checks that it is finite. `python -W` and PYTHONWARNINGS win.
    """

    def show(
        message: Warning | str, category: type[Warning], *place: object, **rest: object
    ) -> None:
        if issubclass(category, Notice):
            tell_once(str(message))
        elif not issubclass(category, RuntimeWarning):
            tell_once("warning: " + " ".join(str(message).split()))

    if not sys.warnoptions:
        warnings.showwarning = show
