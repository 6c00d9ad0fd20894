"""Text for people: progress, messages, durations, sizes, counts, percentages, tables,
CSV.
"""

import contextlib
import functools
import io
import math
import statistics
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featurestack.commandline.spelling import spelled

if TYPE_CHECKING:
    import pandas as pd
    from tqdm import tqdm

QUIET_SECONDS = 2  # shorter work shows no bar
quiet = False  # whether `silenced` is in force
# percentage points: lifts an exact half, which floats would round to either side
HALVES_UP = 1e-9
LOG_SECONDS = 60  # between two lines of progress in a log
# first characters that make a spreadsheet compute
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LOG_FORMAT = (
    "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"
)
BAR_FORMAT = (
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining},"
    " {rate_noinv_fmt}{postfix}]"
)


class _LogLines:
    """A file for tqdm in which each state of the bar is a line."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            print(line, file=sys.stderr)


# Arguments of tqdm, `mininterval` in seconds.
ON_A_TERMINAL: dict[str, Any] = {
    "bar_format": BAR_FORMAT,
    "mininterval": 0.2,
    "dynamic_ncols": True,
}
IN_A_LOG = {
    "file": _LogLines(),
    "bar_format": LOG_FORMAT,
    "mininterval": LOG_SECONDS,
    "maxinterval": LOG_SECONDS,
}


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    label: str,
    unit: str,
    done: int = 0,
    silent: bool = False,
) -> "tqdm[Any]":
    """A tqdm bar, shown from the first step after two seconds; if stderr is no
    terminal, a line a minute.

    Speed and remaining time count from the end of the first step, which also loads and
    compiles.
    """
    from tqdm import tqdm

    class Bar(tqdm):
        first = True

        def update(self, n: float | None = 1) -> bool | None:
            if not self.first or self.disable:
                return super().update(n)
            self.first = False
            self.n += n or 0
            self.initial = self.last_print_n = self.n
            self.unpause()
            return None

        def __iter__(self) -> Iterator[Any]:
            with self:
                for item in self.iterable:
                    yield item
                    self.update()

    bar = ON_A_TERMINAL if sys.stderr.isatty() else IN_A_LOG
    return Bar(
        iterable,
        total=total,
        desc=label,
        unit=f" {unit}",
        initial=done,
        delay=QUIET_SECONDS,
        leave=False,
        position=0,  # even if an error left another bar open
        disable=silent or quiet,
        **bar,
    )


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """A call in which nothing is printed: no output, no messages, no progress."""
    global quiet
    before = quiet
    quiet = True
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        quiet = before


def tell(text: str) -> None:
    """Print on standard error, commands in the user's spelling; standard output is for
    answers.
    """
    if not quiet:
        print(spelled(text), file=sys.stderr, flush=True)


@functools.cache
def tell_once(text: str) -> None:
    """`tell`, but each text once in a process: the runs of a sweep would repeat it."""
    tell(text)


def tell_warnings() -> None:
    """Show each later warning of a library once, in one line without its path and code.

    RuntimeWarnings, such as numpy's of overflow and division by zero, are left out: the
    code that uses a result checks that it is finite, and names the clip or the file.
    `python -W` and PYTHONWARNINGS bring back Python's own rules.
    """

    def show(
        message: Warning | str, category: type[Warning], *place: object, **rest: object
    ) -> None:
        if not issubclass(category, RuntimeWarning):
            tell_once("warning: " + " ".join(str(message).split()))

    if not sys.warnoptions:
        warnings.showwarning = show


def duration(seconds: float) -> str:
    """A duration in words: `0.4 s`, `12 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(bytes_: float) -> str:
    """A number of bytes in words: `512 B`, `12.3 MB`, `1.2 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes_ < 999.5:
            return (
                f"{bytes_:.0f} {unit}"
                if unit == "B" or bytes_ >= 99.95
                else f"{bytes_:.1f} {unit}"
            )
        bytes_ /= 1000
    return f"{bytes_:.1f} TB"


def count(number: float) -> str:
    """A number, from a million on shortened: `2,000`, `11.2 M`, `1.8 G`."""
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if abs(number) >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:,.0f}"


def plural(noun: str) -> str:
    """The plural of a noun: `clips`, `classes`."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 clip`, `2,000 clips`, `3 classes`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def percent(share: float, digits: int = 1) -> str:
    """`92.5` for 0.925, or `93` without digits. Halves are rounded away from zero."""
    return f"{100 * share + math.copysign(HALVES_UP, share):.{digits}f}"


def mean_percent(shares: Sequence[float]) -> str:
    """`92.5 ± 2.1 %` for accuracies from 0 to 1: mean and standard deviation; `92.5 %`
    for a single one.
    """
    deviation = f" ± {percent(statistics.stdev(shares))}" if len(shares) > 1 else ""
    return f"{percent(statistics.fmean(shares))}{deviation} %"


def points(difference: float, digits: int = 1) -> str:
    """`+3.1` for 0.031, `−0.9` for -0.009: percentage points with a true minus sign;
    zero has no sign.
    """
    text = percent(abs(difference), digits)
    return f"{'−' if difference < 0 else '+'}{text}" if float(text) else text


def text_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Aligned columns with two blanks between them; columns of numbers are aligned to
    the right.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    columns = []
    for column in zip(header, *cells, strict=True):
        width = max(map(len, column))
        numbers = bool(cells) and all(
            cell in ("", "-") or cell.lstrip("+-−")[:1].isdigit() for cell in column[1:]
        )
        columns.append(
            [cell.rjust(width) if numbers else cell.ljust(width) for cell in column]
        )
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns))


def no_formula(cell: object) -> object:
    """The cell, with an apostrophe in front if a spreadsheet would compute it.

    Excel and LibreOffice would carry out a class name such as =HYPERLINK("…"); the
    apostrophe is their own mark of text (OWASP, CSV injection).
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def as_csv(table: "pd.DataFrame") -> str:
    """CSV with every digit, an empty field for an unknown number, and no text that is a
    formula.
    """
    safe = table.rename(columns=no_formula)
    for place, kind in enumerate(table.dtypes):
        if kind.kind not in "biuf":  # no number
            safe.isetitem(place, safe.iloc[:, place].map(no_formula))
    return safe.to_csv(index=False, lineterminator="\n")
