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

# A notebook or script keeps this spelling; commands.main replaces it by the one that
# the user typed.
caller = (
    CONSOLE
    if not CLONE
    else MAKE
    if Path.cwd().is_relative_to(HOME)
    else f"{PYTHON} {CONSOLE}"
)
# begins the commands that are typed neither with make nor with the console command
without_target = PYTHON


def called_as(spelling: str, python: str = PYTHON) -> None:
    """Set the spelling of all later commands; `python` stands for `python -m` in
    them.
    """
    global caller, without_target
    caller = spelling
    without_target = python


def spelled(text: str) -> str:
    """The text with its commands as the user types them here."""
    return COMMAND.sub(
        lambda command: _typed(command["words"] or TARGETS[command["target"]]), text
    )


def _typed(words: str) -> str:
    if caller == PYTHON or (caller == MAKE and words not in TARGET_OF):
        return f"{without_target} {words}"
    return f"{caller} {TARGET_OF.get(words, words)}"


def make_command(command: str, *given: str) -> str:
    """The command that the user is told to type, quoted for a shell.

    `command` is a target of make or the words after `python -m`.

    >>> make_command("train explain", "last")
    'python -m train explain last'
    """
    return " ".join([_typed(TARGETS.get(command, command)), *map(shlex.quote, given)])
