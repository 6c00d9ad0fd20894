"""How a command is typed: with make, with `python -m`, with the console command.

The code writes commands as for make, or with `python -m` if there is no target. `spelled` turns them into the
spelling by which this process was called.
"""

import re
import shlex
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
CLONE = (HOME / "pyproject.toml").exists()  # otherwise an installed copy, which has no Makefile
MAKE = "make"
PYTHON = "python -m"
UNACTIVATED = ".venv/bin/python -m"  # in the environment that make sets up
CONSOLE = "featurestack"

# Target of make and word of the console -> words after `python -m`, in the order in which one needs them.
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
    "bench": "bench",
}
TARGET_OF = {words: target for target, words in TARGETS.items()}
PACKAGES = "|".join(sorted({"features_cache", *(words.split()[0] for words in TARGETS.values())}))
COMMAND = re.compile(
    rf"(?:\.venv/bin/)?\b(?:make (?P<target>{'|'.join(TARGETS)})|{PYTHON} "
    rf"(?P<words>(?:{PACKAGES})( [a-z]+)?))(?![\w.])"
)

caller = MAKE if CLONE else CONSOLE  # set by commands.main; a notebook or script leaves it
without_target = PYTHON  # what stands before commands that make does not know


def called_as(spelling: str, *, activated: bool = True) -> None:
    """From now on `spelled` writes commands this way; `activated`: a shell finds the environment's Python."""
    global caller, without_target
    caller = spelling
    without_target = PYTHON if activated else UNACTIVATED


def spelled(text: str) -> str:
    """The text with each command in it as it would be typed here."""
    return COMMAND.sub(_typed, text)


def _typed(command: "re.Match[str]") -> str:
    words = command["words"] or TARGETS[command["target"]]
    if caller == PYTHON or (caller == MAKE and words not in TARGET_OF):
        return f"{without_target} {words}"
    return f"{caller} {TARGET_OF.get(words, words)}"


def make_command(command: str, *given: str) -> str:
    """What a user is told to type, quoted for a shell: a target of make or the words after `python -m`.

    >>> make_command("train explain", "last")
    'python -m train explain last'
    """
    prefix = [MAKE] if command in TARGETS else PYTHON.split()
    return spelled(shlex.join([*prefix, *command.split(), *given]))
