"""Commands as a user types them, run in this process.

`command("train", FEATURES="mel")` is `make train FEATURES=mel`.
"""

import contextlib
import io
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from featurestack.base.terminal import Notice
from featurestack.cli.commands import main

ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """A command's exit status and what it printed."""

    status: int
    out: str
    err: str


def command(words, **variables):
    """Run `featurestack <words> NAME=value …` here; a traceback is status 70, its last
    line in `err`.
    """
    given = [f"{name}={value}" for name, value in variables.items()]
    out = io.StringIO()
    err = io.StringIO()
    before = sys.argv
    status = 0
    sys.argv = ["featurestack", *shlex.split(words), *given]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("always", Notice)  # a command prints them
            main()
    except SystemExit as end:
        status = int(end.code or 0)
    except Exception as error:
        status = 70
        err.write(f"Traceback {type(error).__name__}: {error}")
    finally:
        sys.argv = before
    return Answer(status, out.getvalue(), err.getvalue())


def done(words, status=0, **variables):
    """The answer of a command that must end with this status."""
    answer = command(words, **variables)
    assert answer.status == status, (
        f"{words} {variables} ended with {answer.status}: {answer.err}"
    )
    return answer


@contextlib.contextmanager
def inside(folder):
    """Work in this folder, so that commands and outputs name relative paths."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


def flip_bit(file, place):
    """Flip the lowest bit of the byte at `place`."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
