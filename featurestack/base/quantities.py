"""Quantities in words: durations, sizes, counts with their nouns, percentages."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeVar

Number = TypeVar("Number", int, float)

EXACT_DIGITS = 9  # decimals that are meant; more are the binary form
NAMES_SHOWN = 3  # names in a list before "and 6 more"
MOST_DIGITS = 15  # longest whole number that somebody means
DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)


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
            digits = 0 if unit == "B" or bytes_ >= 99.95 else 1
            return f"{bytes_:.{digits}f} {unit}"
        bytes_ /= 1000
    return f"{bytes_:.1f} TB"


def whole_number(text: str) -> int:
    """The number that up to MOST_DIGITS decimal digits state; -1 for another text."""
    plain = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    return int(text) if plain else -1


def number_of(text: str, kind: type[Number]) -> Number:
    """The number that decimal digits state; ValueError for others, such as `1_0`."""
    if not DECIMAL.fullmatch(text.strip()):
        raise ValueError(f"{text} is not a number")
    return kind(text)


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


def enumerated(names: Sequence[str]) -> str:
    """`a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def listed(names: Sequence[str]) -> str:
    """`mel, mfcc, cqt and 3 more`; all if only one would be left out."""
    many = len(names) > NAMES_SHOWN + 1
    return enumerated(
        [*names[:NAMES_SHOWN], f"{len(names) - NAMES_SHOWN} more"] if many else names
    )


def spelt_alike(names: Iterable[str]) -> list[list[str]]:
    """The names, quoted, that differ only in case, blanks or the form of Unicode, those
    that are alike together.

    >>> spelt_alike(["Ant", "bee", "ant "])
    [["'Ant'", "'ant '"]]
    """
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike.setdefault(plain, []).append(name)
    several = [each for each in alike.values() if len(each) > 1]
    composed = lambda name: unicodedata.normalize("NFC", name)  # noqa: E731
    return [
        [*map(repr if len({*map(composed, each)}) == len(each) else ascii, each)]
        for each in several
    ]


def is_or_are(number: float) -> str:
    return "is" if number == 1 else "are"


def first_names(names: Sequence[str], most: int) -> list[str]:
    """The names; if they are many, the first ones and the number of the others."""
    if len(names) <= most + 1:
        return [*names]
    return [*names[:most], f"and {len(names) - most:,} more"]


def rounded(value: float, digits: int = 3) -> str:
    """A number with these decimals; a half is rounded to the even digit, so that the
    difference of two rounded scores mostly equals that of the scores.

    >>> rounded(84.55, 1), rounded(87.15, 1), rounded(0.8125, 3)
    ('84.6', '87.2', '0.812')
    """
    if not math.isfinite(value):
        return str(value)
    exact = Decimal(f"{value:.{EXACT_DIGITS}f}")
    return f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):f}"


def percent(share: float, digits: int = 1) -> str:
    """`92.5` for 0.925, or `92` without digits, as `rounded`."""
    return rounded(100 * share, digits)


def points(difference: float, digits: int = 1) -> str:
    """`+3.1` for 0.031, `−0.9` for -0.009: percentage points; only zero has no sign.
    A smaller number has one more digit, `−0.04`, or is `below 0`, so that no interval
    ends at `−0.0`.
    """
    text = percent(abs(difference), digits)
    if abs(difference) < 1e-10:  # rounding of sums
        return text
    if not float(text):
        text = percent(abs(difference), digits + 1)
    if not float(text):
        return "below 0" if difference < 0 else "above 0"
    return f"{'−' if difference < 0 else '+'}{text}"
