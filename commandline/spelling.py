"""The spelling of commands: make's, `python -m`, the console command's, or Python's.

A message holds a command as a CommandLine, which is printed as the user types it here:
with make, or with `python -m` if there is no target. `commands.main` decides the
spelling once; nobody else reads it.
"""

import json
import re
import shlex
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from featurestack.commandline import own_code, rooms
from featurestack.commandline.packages import CLONE, HOME

MAKE = "make"
PYTHON = "python -m"
UNACTIVATED = ".venv/bin/python -m"  # in the environment that make sets up
CONSOLE = "featurestack"

# target of make and word of the console -> words after `python -m`, in order of use
TARGETS = {
    "data": "pipeline data",
    "features": "pipeline features",
    "train": "train run",
    "sweep": "train sweep",
    "analysis": "analysis",
    "predict": "train predict",
    **({"bench": "bench"} if CLONE else {}),
}
# the packages that have commands, as words after `python -m`
STAGES = (
    "pipeline",
    "features_cache",
    "train",
    "analysis",
    *(TARGETS.keys() & {"bench"}),
)
# Words after `python -m` -> function of `import featurestack as fs`.
FUNCTIONS = {
    "pipeline features": "extract",
    "train run": "train",
    "analysis": "report",
    "train sweep": "sweep",
    "train bundle": "bundle",
    "train verify": "verify",
    "pipeline check": "check",
    "pipeline plan": "plan",
}
# options of these functions that are True or False
FLAGS = {"compile", "overwrite", "prepare", "retrain", "wait"}
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


# make, the console command or PYTHON, as the user types; '' for calls in a script
CALLER = ContextVar("CALLER", default="")
# begins the commands that are no target
PYTHON_HERE = ContextVar("PYTHON_HERE", default=PYTHON)


@dataclass(frozen=True)
class CommandLine:
    """A command with its NAME=value words; its text is what the user types, or in a
    script the call of its function, if it has one.

    command  a target of make, or the words after `python -m`

    >>> str(CommandLine("train bundle", ("last",)))
    'python -m train bundle last'
    """

    command: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = words_of(self.command)
        function = "" if CALLER.get() else function_of(words)
        if function:
            return f"fs.{function}({', '.join(map(keyword, self.given))})"
        given = [*self.given, *own_code.words()]
        return " ".join([_typed(words), *map(shlex.quote, given)])


def targets() -> dict[str, str]:
    """The targets of make, those of rooms included -> words after `python -m`."""
    return {**rooms.targets(), **TARGETS}


def words_of(command: str) -> str:
    """The words after `python -m` for a target, or the words themselves."""
    return TARGETS.get(command) or rooms.targets().get(command, command)


def stages() -> list[str]:
    """The first words after `python -m`: packages, and commands of rooms alone."""
    return [*STAGES, *(words for words in rooms.names("commands") if " " not in words)]


def function_of(words: str) -> str:
    """The function of `import featurestack as fs` that is this command, or ''."""
    last = words.split()[-1]
    return FUNCTIONS.get(words) or (last if last in rooms.names("functions") else "")


def called_as(spelling: str, python: str = PYTHON) -> None:
    """Set the spelling of later commands; `python` stands for `python -m` in them."""
    CALLER.set(spelling)
    PYTHON_HERE.set(python)


def caller() -> str:
    """The spelling that the user typed; in a script, one that works in this folder."""
    if CALLER.get():
        return CALLER.get()
    if not CLONE:
        return CONSOLE
    try:
        in_clone = Path.cwd().is_relative_to(HOME)
    except FileNotFoundError:  # the current folder was removed
        in_clone = False
    return MAKE if in_clone else f"{PYTHON} {CONSOLE}"


def keyword(word: str) -> str:
    """The word NAME=value as a keyword of a function.

    >>> keyword("FEATURES=mel mfcc"), keyword("EPOCHS=5"), keyword("WAIT=1")
    ('features="mel mfcc"', 'epochs=5', 'wait=True')
    """
    name, value = word.split("=", 1)
    name = name.lower()
    if value == "1" and name in FLAGS | rooms.switches():
        return f"{name}=True"
    if not value or NUMBER.fullmatch(value):
        return f"{name}={value}"
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


def _typed(words: str) -> str:
    target = {typed: target for target, typed in targets().items()}.get(words)
    if words == "pipeline check" and caller() == MAKE:
        return f"{MAKE} check"  # with DATASET=; alone it looks at this project's code
    return f"{caller()} {target}" if target and caller() != PYTHON else spelled(words)


def spelled(words: str) -> str:
    """The text of words after `python -m` that are no target of make."""
    if caller() in (PYTHON, MAKE):
        return f"{PYTHON_HERE.get()} {words}"
    return f"{caller()} {words}"


def make_command(command: str, *given: str) -> str:
    """The text of a CommandLine.

    >>> make_command("train bundle", "last")
    'python -m train bundle last'
    """
    return str(CommandLine(command, given))
