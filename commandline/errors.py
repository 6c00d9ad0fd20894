"""Mistakes of the user, told in one message."""

import difflib
from collections.abc import Iterable

LISTED_NAMES = 60  # a longer list hides the answer that stands before it


class RequestError(Exception):
    """The request was wrong: exit status 2, and `str(error)` is all that the user sees.

    The message says what was given, what was expected, and what to do.
    """


def nearest(kind: str, word: str, known: Iterable[str], listed: Iterable[str] = ()) -> str:
    """The message for an unknown name: the nearest known one, then the list (or the part of it in `listed`).

    >>> nearest("feature", "mell", ["mel", "mfcc"])
    "unknown feature 'mell'; did you mean 'mel'? Known: mel, mfcc"
    """
    names = sorted(known)
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.5)
    hint = f"; did you mean {by_folded[close[0]]!r}?" if close else "."
    names = sorted(listed) or names
    shown = ", ".join(names[:LISTED_NAMES]) or "none"
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return f"unknown {kind} {word!r}{hint} Known: {shown}{more}"
