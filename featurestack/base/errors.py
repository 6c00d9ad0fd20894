"""Errors of a command: wrong requests, failed work, unknown names; commands to type.

What an error carries is given by position, so that it can be pickled.
"""

import difflib
import errno
import re
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_path

from featurestack.base import CLONE, HOME, LOADED, NAME
from featurestack.base.quantities import counted

MOST_QUOTED = 80  # characters of a cell in a message
LISTED_NAMES = 8  # of a longer list a message has those most like the unknown name
# kind of a name -> the command that lists all
LISTS = {"feature": "show", "model": "models", "network": "network", "run": "runs"}
LISTS |= {"variable": "help", "option": "help"}
# files of Python and of installed libraries, which are not the user's
LIBRARY = re.compile(f"<frozen|.*site-packages|{re.escape(get_path('stdlib'))}")
ALIKE = 0.8  # least similarity, 0 to 1, of a misspelt name to the one that was meant
# commands that are functions of `featurestack` with the same options
NAMESAKES = "answer bundle check curve export importance stress verify windows"
FUNCTIONS = {word: word for word in NAMESAKES.split()}
FUNCTIONS |= {"analysis": "report", "data": "clips", "features": "extract"}
FUNCTIONS |= {"train": "fit", "predict": "predict_audio"}
KEYWORDS = {"predict": {"RUN": "trained", "AUDIO": "files"}}  # all that it takes
FLAGS = ("empty", "old", "paper", "refit", "yes")  # options that are True or False
# what other programs call an option -> its name here
SYNONYMS = {
    "amp": "precision",
    "arch": "model",
    "architecture": "model",
    "class_weight": "balance",
    "cuda": "device",
    "cv": "folds",
    "early_stopping": "patience",
    "gpu": "device",
    "learning_rate": "lr",
    "normalization": "norm",
    "num_workers": "jobs",
    "path": "dataset",
    "pretrained": "weights",
    "random_state": "seed",
    "rate": "sample_rate",
    "target": "label",
    "validation": "val",
}
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


class Caller:
    """Who reads this process's messages: a Python program, for which they have calls in
    place of commands and keywords in place of variables, unless `main` says otherwise.
    """

    in_python = True


class Error(Exception):
    """An error of this project, with one sentence for the user."""

    def __str__(self) -> str:
        return as_typed(super().__str__())


class RequestError(Error):
    """The request was wrong: exit status 2, and this one sentence for the user: what
    was given, what was expected, what to do.
    """


class Failed(Error):
    """The work ran and something in it failed: exit status 1 with this sentence."""


def shortened(cell: str) -> str:
    """The cell as a message quotes it: its beginning, if it is long."""
    return cell if len(cell) <= MOST_QUOTED else cell[: MOST_QUOTED - 1] + "…"


def reason_of(error: BaseException) -> str:
    """An unforeseen error in words: its type, except for a ValueError of this project,
    its text, and the file and line of the user's own code in which it was raised.
    """
    ours, place = False, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        ours = frame.f_globals.get("__name__", "").startswith(f"{NAME}.")
        if not (ours or LIBRARY.match(file)):
            place = f" ({Path(file).name}, line {line})"
    kind = "" if ours and type(error) is ValueError else f"{type(error).__name__}: "
    return kind + str(error).partition("\n")[0] + place


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like the word, whatever its case, or None: what other
    programs call so, the first that begins with it or has it as its initials, else one
    as similar as `cutoff` (difflib's, 0 to 1), or whose part before a hyphen is.

    >>> closest("Mell", ["mel", "mfcc"]), closest("resnet", ["resnet18", "resnet50"])
    ('mel', 'resnet18')
    """
    by_folded = {name.casefold().lstrip("-"): name for name in known}
    wanted = word.casefold().lstrip("-")
    synonym = SYNONYMS.get(wanted.replace("-", "_"))
    if synonym in by_folded:
        return by_folded[synonym]
    close = [name for name in sorted(by_folded) if name.startswith(wanted)]
    if len(wanted) < 3 or not close:
        close = [name for name in sorted(by_folded) if initials(name) == wanted]
    if not close:
        parts = {name.partition("-")[0]: name for name in sorted(by_folded)[::-1]}
        parts |= {name: name for name in by_folded}
        near = difflib.get_close_matches(wanted, parts, n=1, cutoff=cutoff)
        close = [parts[name] for name in near]
    return by_folded[close[0]] if close else None


def initials(name: str) -> str:
    """The first letters of a name's words, '' for a single word.

    >>> initials("sample_rate"), initials("seed")
    ('sr', '')
    """
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


def nearest(
    kind: str, word: str, known: Iterable[str], special: Iterable[str] = ()
) -> str:
    """The message for an unknown name: the nearest known one, then the list, or its
    names that are most alike. A special name, which few need, is proposed only if it is
    very much alike.

    >>> nearest("feature", "mell", ["mel", "mfcc"])
    "unknown feature 'mell'; did you mean 'mel'? Known: mel, mfcc"
    """
    usual = [*known]
    close = closest(word, usual) or closest(word, special, ALIKE)
    names = sorted({*usual, *special})
    hint = f"; did you mean {close!r}?" if close else "."
    if close and [word.lower(), close.lower()] == ["cv", "folds"]:
        hint = ": the dataset's folds are used, and FOLDS= selects some of them."
    if kind == "feature" and Path(word).exists():
        hint = f"; a dataset is given as {quoted(f'DATASET={word}')}."
    every = ""
    if len(names) > LISTED_NAMES and kind in LISTS and not Caller.in_python:
        every = f" ({make_command(LISTS[kind])} lists all)"
    return f"unknown {kind} {word!r}{hint} Known: {most_alike(word, names)}{every}"


def most_alike(word: str, names: Sequence[str]) -> str:
    """The names for a message; of many only those that are most like the word.

    >>> most_alike("mel", ["mel", "mfcc"]), most_alike("c", "abcdefghij")
    ('mel, mfcc', 'c, j, i, h, g, f, e, d and 2 more')
    """
    if len(names) <= LISTED_NAMES:
        return ", ".join(names) or "none"
    near = difflib.get_close_matches(word, names, LISTED_NAMES, cutoff=0.0)
    return f"{', '.join(near)} and {len(names) - LISTED_NAMES} more"


def program() -> str:
    """The program as it is typed here: make where a clone's Makefile is, else
    featurestack.
    """
    if Path(sys.argv[0]).name == NAME:
        return NAME
    try:
        return "make" if CLONE and Path.cwd() == HOME else NAME
    except FileNotFoundError:  # the current folder was removed
        return NAME


def see(page: str) -> str:
    """The place of a page of the documentation, in brackets, '' if it is not here."""
    file, _, _ = page.partition("#")
    return f" (docs/{page})" if Path("docs", file).is_file() else ""


def make_command(word: str, *given: str) -> str:
    """A command with its NAME=value words as the user types it, in a message.

    >>> make_command("bundle", "RUN=last")
    'make bundle RUN=last'
    """
    values = dict(own.partition("=")[::2] for own in given)
    own_code = imports(values.pop("LOAD", "").split())
    known = KEYWORDS.get(word, {name: name.lower() for name in values})
    if Caller.in_python and word in FUNCTIONS and values.keys() <= known.keys():
        keywords = [keyword(known[name], value) for name, value in values.items()]
        call = f"fs.{FUNCTIONS[word]}({', '.join(keywords)})".removesuffix("()")
        return f"{own_code}; {call}" if own_code else call
    return " ".join([program(), word, *map(quoted, [*given, *load_words()])])


def imports(files: Iterable[str]) -> str:
    """The statement that loads Python files of the user's, or ''.

    >>> imports(["own.py", "lib/more.py"])
    'import own, more'
    """
    modules = ", ".join(Path(file).stem for file in files)
    return f"import {modules}" if modules else ""


def keyword(name: str, value: str) -> str:
    """An option as Python has it.

    >>> keyword("jobs", "2"), keyword("run", "last"), keyword("yes", "1")
    ('jobs=2', "run='last'", 'yes=True')
    """
    if name in FLAGS:
        return f"{name}={value == '1'}"
    return f"{name}={value if value.isdecimal() else repr(value)}"


def as_typed(text: str) -> str:
    """A message with its variables as keywords if the caller is a Python program,
    except those of a command: EPOCHS=3 is epochs=3, YES=1 is yes=True.
    """
    if not Caller.in_python:
        return text
    shell = rf"{program()} [a-z]+(?: [A-Z_]+=(?:'[^']*'|[^\s;,]+))*"
    flags = "|".join(FLAGS).upper()
    text = re.sub(
        rf"({shell})|\b({flags})=([01])\b",
        lambda found: found[1] or keyword(found[2].lower(), found[3]),
        text,
    )
    return re.sub(
        rf"({shell})|\b([A-Z]{{2,}}[A-Z_]*=)",
        lambda found: found[1] or found[2].lower(),
        text,
    )


def load_words() -> list[str]:
    """The word LOAD=… that gives another process the same files."""
    return [f"LOAD={' '.join(LOADED)}"] if LOADED else []


def quoted(word: str) -> str:
    """The word as a shell reads it, NAME='a value'."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and value else shlex.quote(word)


def unquoted(text: str) -> list[str]:
    """The words of a list in a text; one in quotes may hold blanks."""
    if "'" in text:
        with suppress(ValueError):
            return shlex.split(text)
    return text.split()


class OutdatedFeature(RequestError):
    """A feature of other audio than the clips, or of other code than is here."""


@dataclass(eq=False)
class UnreadableClips(RequestError):
    """Clips of a feature that cannot be read."""

    feature: str
    reasons: Mapping[str, str]  # clip id -> why it cannot be read

    def __str__(self) -> str:
        named = list(self.reasons.items())[:3]
        first = "; ".join(f"{clip}: {reason}" for clip, reason in named)
        return (
            f"{counted(len(self.reasons), 'clip')} of {self.feature} cannot be read"
            f" ({first}); {make_command('features')} tries them again"
        )


@dataclass(eq=False)
class DamagedFile(RequestError):
    """A cache file that cannot be read."""

    reason: str  # names the file and says why

    def __str__(self) -> str:
        return f"{self.reason}; {make_command('features')} makes it again"


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


def install_command(extra: str) -> str:
    """The command that installs an extra into this environment. In a clone it keeps the
    tested versions and the editable install.
    """
    if not CLONE:
        return f"{pip_install()} {shlex.quote(f'{NAME}[{extra}]')}"
    constraints = shlex.quote(str(HOME / "constraints.txt"))
    return f"{pip_install()} -c {constraints} -e {shlex.quote(f'{HOME}[{extra}]')}"


def pip_install() -> str:
    """The words that install for this Python: another `pip` may be first in PATH."""
    return shlex.join([sys.executable, "-m", "pip", "install"])
