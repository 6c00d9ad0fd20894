"""The spelling of commands: with make, with `python -m`, with the console command, or
as calls of Python functions.

The code writes commands as for make, or with `python -m` if there is no target.
`spelled` rewrites them as the user types them here.
"""

import json
import re
import shlex
from collections.abc import Iterable
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
    "answer": "answer",
    "data": "pipeline data",
    "windows": "pipeline windows",
    "features": "pipeline features",
    "train": "train run",
    "sweep": "train sweep",
    "importance": "train importance",
    "curve": "train curve",
    "analysis": "analysis",
    "predict": "train predict",
    **({"bench": "bench"} if CLONE else {}),
}
TARGET_OF = {words: target for target, words in TARGETS.items()}
OF_ROOMS = ("demo", "answer")  # words after `python -m` that only a room knows
# The first words after `python -m`: packages, and those of OF_ROOMS.
STAGES = (
    *OF_ROOMS,
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
# also the form in which a script is told a command that is no function
ANY_COMMAND = re.compile(rf"{COMMAND.pattern}|\b(?P<console>{CONSOLE} [a-z]+)")
# Words after `python -m` -> function of `import featurestack as fs`.
FUNCTIONS = {
    "answer": "answer",
    "pipeline windows": "windows",
    "pipeline features": "extract",
    "train run": "train",
    "train importance": "importance",
    "analysis": "report",
}
FLAGS = {  # options of these functions that are True or False
    "empty",
    "overwrite",
    "paper",
    "prepare",
    "retrain",
    "skip_checksums",
    "skip_test",
    "wait",
}
# an option, `NAME=value` or `'NAME=several words'`; PYTHON begins other variables
NAME = "(?!PYTHON)[A-Z][A-Z_]+"
VALUE = r"'[^'\n]*'|\"[^\"\n]*\"|[\w+./…@-]*[\w+/…@-]|"
GIVEN = re.compile(
    rf"(?<![\w./])(?:'(?P<quoted>{NAME}=[^'\n]*)'|(?P<plain>{NAME}=(?:{VALUE})))"
)
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")

# The spelling that the user typed, set by commands.main; '' in a notebook or script,
# whose user calls functions.
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
    current folder, for commands that are no function.
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
    """The text with its commands, and the options that it names, as the user types them
    here.
    """
    if typed:
        return COMMAND.sub(lambda command: _typed(_words(command)), text)
    parts = []
    end = 0
    for command in ANY_COMMAND.finditer(text):
        parts.append(GIVEN.sub(_keyword, text[end : command.start()]))
        call, end = _spelled_call(text, command)
        parts.append(call)
    return "".join([*parts, GIVEN.sub(_keyword, text[end:])])


def _words(command: re.Match[str]) -> str:
    return command["words"] or TARGETS[command["target"]]


def _spelled_call(text: str, command: re.Match[str]) -> tuple[str, int]:
    """The command of a text and the options after it, as a call; where they end."""
    end = command.end()
    given = []
    while following := GIVEN.match(text, end + 1):
        if text[end] != " ":
            break
        given.append(following)
        end = following.end()
    if command["console"]:
        return text[command.start() : end], end
    words = _words(command)
    if words in FUNCTIONS:
        return _call(words, map(_keyword, given)), end
    return _typed(words) + text[command.end() : end], end


def _call(words: str, keywords: Iterable[str]) -> str:
    return f"fs.{FUNCTIONS[words]}({', '.join(keywords)})"


def _keyword(given: re.Match[str]) -> str:
    return keyword(given["quoted"] or given["plain"])


def keyword(word: str) -> str:
    """The word NAME=value as a keyword of a function.

    >>> keyword("FEATURES=mel mfcc"), keyword("EPOCHS=5"), keyword("WAIT=1")
    ('features="mel mfcc"', 'epochs=5', 'wait=True')
    """
    name, value = word.split("=", 1)
    name = name.lower()
    value = value.strip("'\"")
    if name in FLAGS and value == "1":
        return f"{name}=True"
    if not value or NUMBER.fullmatch(value):
        return f"{name}={value}"
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


def _typed(words: str) -> str:
    spelling = caller()
    if spelling == PYTHON or (spelling == MAKE and words not in TARGET_OF):
        return f"{without_target} {words}"
    return f"{spelling} {TARGET_OF.get(words, words)}"


def make_command(command: str, *given: str) -> str:
    """The command that the user is told to type, quoted for a shell; in a notebook or
    script the call of its function, if it has one.

    `command` is a target of make or the words after `python -m`.

    >>> make_command("train bundle", "last")
    'python -m train bundle last'
    """
    words = TARGETS.get(command, command)
    if not typed and words in FUNCTIONS:
        return _call(words, map(keyword, given))
    return " ".join([_typed(words), *map(shlex.quote, given)])
