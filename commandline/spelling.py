"""The spelling of commands in messages: `make train …` in a clone, `featurestack train
…` where it is installed, `fs.fit(…)` in a script or notebook.

A process that runs a command says so once by `called_as`; nobody else reads it.
"""

import json
import re
import shlex
from contextvars import ContextVar
from pathlib import Path

from featurestack.commandline import CLONE, HOME, own_code
from featurestack.commandline.options import fields, kind_of
from featurestack.commandline.words import named, options_of

MAKE = "make"
CONSOLE = "featurestack"
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")

# MAKE or CONSOLE, as the user types; '' for calls in a script
CALLER = ContextVar("CALLER", default="")


def called_as(spelling: str) -> None:
    """Set the spelling of later commands."""
    CALLER.set(spelling)


def typed_here() -> str:
    """How a command is typed in this folder: MAKE in a clone, else CONSOLE."""
    try:
        in_clone = CLONE and Path.cwd().is_relative_to(HOME)
    except FileNotFoundError:  # the current folder was removed
        in_clone = False
    return MAKE if in_clone else CONSOLE


def caller() -> str:
    """The spelling that the user typed; in a script, one that works in this folder."""
    return CALLER.get() or typed_here()


def make_command(word: str, *given: str) -> str:
    """A command with its NAME=value words as the user types it, or in a script the call
    of its function, if it has one.

    >>> make_command("bundle", "RUN=last")
    'make bundle RUN=last'
    """
    if function := "" if CALLER.get() else named(word).python:
        return f"fs.{function}({', '.join(keyword(word, each) for each in given)})"
    words = [*given, *own_code.words()]
    return " ".join([caller(), word, *map(quoted, words)])


def quoted(word: str) -> str:
    """The word as a shell reads it, NAME='a value'."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and value else shlex.quote(word)


def keyword(word: str, given: str) -> str:
    """The word NAME=value of a command as a keyword of its function.

    >>> keyword("train", "FEATURES=mel mfcc"), keyword("train", "EPOCHS=5")
    ('features="mel mfcc"', 'epochs=5')
    """
    name, value = given.split("=", 1)
    name = name.lower()
    known = fields(options_of(named(word)))
    if value == "1" and name in known and kind_of(known[name])[0] is bool:
        return f"{name}=True"
    if not value or NUMBER.fullmatch(value):
        return f"{name}={value}"
    return f"{name}={json.dumps(value, ensure_ascii=False)}"
