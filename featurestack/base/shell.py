"""Commands as a user types them: of this program, in messages, and of pip."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from featurestack.base import CLONE, HOME, LOADED, NAME


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


def make_command(word: str, *given: str) -> str:
    """A command with its NAME=value words, in a message.

    >>> make_command("bundle", "RUN=last", "OUT=my bundle.pt")
    "make bundle RUN=last OUT='my bundle.pt'"
    """
    loaded = [f"LOAD={' '.join(LOADED)}"] if LOADED else []
    return " ".join([program(), word, *map(quoted, [*given, *loaded])])


def next_line(word: str, *given: str) -> str:
    """The last line of a stage: the command that follows it."""
    return f"next: {make_command(word, *given)}"


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words whose names are not in `names`."""
    return [word for word in words if word.partition("=")[0] not in names]


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
