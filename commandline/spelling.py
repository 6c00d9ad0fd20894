"""The spelling of commands: with make, with `python -m`, with the console command.

The code writes commands as for make, or with `python -m` if there is no target.
`spelled` rewrites them as the user types them here.
"""

import re
import shlex
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
# otherwise an installed copy, which has no Makefile
CLONE = (HOME / "pyproject.toml").exists()
MAKE = "make"
PYTHON = "python -m"
UNACTIVATED = ".venv/bin/python -m"  # in the environment that make sets up
CONSOLE = "featurestack"

# Target of make and word of the console -> words after `python -m`, in the order in
# which one needs them.
TARGETS = {
    "demo": "demo",
    "data": "pipeline data",
    "windows": "pipeline windows",
    "features": "pipeline features",
    "train": "train run",
    "sweep": "train sweep",
    "importance": "train importance",
    "analysis": "analysis",
    "predict": "train predict",
    **({"bench": "bench"} if CLONE else {}),
}
TARGET_OF = {words: target for target, words in TARGETS.items()}
# The first words after `python -m`: packages, and the module `demo`.
STAGES = (
    "demo",
    "pipeline",
    "features_cache",
    "train",
    "analysis",
    *(TARGETS.keys() & {"bench"}),
)
WORDS = rf"(?:{'|'.join(STAGES)})( [a-z]+)?"
COMMAND = re.compile(
    rf"(?:\.venv/bin/)?\b(?:make (?P<target>{'|'.join(TARGETS)})|{PYTHON}"
    rf" (?P<words>{WORDS}))(?![\w.])"
)

# The spelling that the user typed, set by commands.main; '' in a notebook or script.
typed = ""
# begins the commands that are typed neither with make nor with the console command
without_target = PYTHON


def called_as(spelling: str, python: str = PYTHON) -> None:
    """Set the spelling of all later commands; `python` stands for `python -m` in
    them.
    """
    global typed, without_target
    typed = spelling
    without_target = python


def caller() -> str:
    """The spelling that the user typed; in a notebook or script, one that works in the
    current folder.
    """
    if typed:
        return typed
    if not CLONE:
        return CONSOLE
    try:
        in_clone = Path.cwd().is_relative_to(HOME)
    except FileNotFoundError:  # the current folder was removed
        in_clone = False
    return MAKE if in_clone else f"{PYTHON} {CONSOLE}"


def spelled(text: str) -> str:
    """The text with its commands as the user types them here."""
    return COMMAND.sub(
        lambda command: _typed(command["words"] or TARGETS[command["target"]]), text
    )


def _typed(words: str) -> str:
    spelling = caller()
    if spelling == PYTHON or (spelling == MAKE and words not in TARGET_OF):
        return f"{without_target} {words}"
    return f"{spelling} {TARGET_OF.get(words, words)}"


def make_command(command: str, *given: str) -> str:
    """The command that the user is told to type, quoted for a shell.

    `command` is a target of make or the words after `python -m`.

    >>> make_command("train bundle", "last")
    'python -m train bundle last'
    """
    return " ".join([_typed(TARGETS.get(command, command)), *map(shlex.quote, given)])
