"""The texts of help: the program's words, the options of a command, all options, the
keywords of a function.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from featurestack.base import registry
from featurestack.base.options import Options, fields
from featurestack.base.shell import program
from featurestack.cli.parser import PLACES, WIDTH, meaning, parser_of
from featurestack.cli.words import ALIASES, COMMANDS, every_options, options_of

Function = TypeVar("Function", bound=Callable[..., object])
# words of the Makefile only
OF_CLONE = {
    "setup": "Make or update the environment, .venv.",
    "test": "Set up and run the test suite; ALL=1 also what is slow, GPU=1 on a card.",
    "docs": "Build the documentation, docs/out/index.html; ALL=1 follows every link.",
    "lint": "Check format, lint and types of the code.",
}
# a command, and those of its options that most people need
COMMON = (
    ("train", "dataset", "features", "model", "folds", "epochs", "grid", "augment"),
    ("train", "val", "task", "seed", "device"),
    ("features", "jobs"),
    ("predict", "run", "audio"),
)
QUIET = "print nothing; warnings stay"
EVERY_COMMAND = "every command, which ignores it if it means nothing there"


def help_on(topics: Sequence[str]) -> str:
    """The help of the program, of all its options (ALL=1), or of a command."""
    if not topics:
        return listing()
    if topics[0].startswith("ALL="):
        return all_options()
    if topics[0] in of_clone():
        return of_clone()[topics[0]]
    word = ALIASES.get(topics[0], topics[0])
    options = options_of(word)
    described = [COMMANDS[word].meaning]
    described += (inspect.getdoc(options) or "").split("\n\n")[1:]
    parser = parser_of(options, f"{program()} {word}", "\n\n".join(described))
    return parser.format_help()


def of_clone() -> dict[str, str]:
    """The meanings of the Makefile's words, where the program is `make`."""
    return OF_CLONE if program() == "make" else {}


def listing() -> str:
    """The usage of the program, each command's meaning, and the common options."""
    words = {word: command.meaning for word, command in COMMANDS.items()} | of_clone()
    width = max(map(len, words))
    lines = [f"  {word:{width}}  {meaning}" for word, meaning in words.items()]
    common = []
    for word, *names in COMMON:
        options = fields(options_of(word))
        for name in names:
            text = f"{name.upper() + '=':{width}}  {meaning(options[name])}"
            shortened = textwrap.shorten(text, WIDTH, placeholder=" …")
            common.append(f"  {name.upper() + '=':{width}}{shortened[len(name) + 1 :]}")
    usage = f"usage: {program()} WORD [NAME=value] ...\n"
    more = f"{program()} help WORD explains a command, {program()} help ALL=1 has all."
    return "\n".join([usage, *lines, "", *common, "", more])


def all_options() -> str:
    """Every option below the first command that takes it."""
    shown = {name.upper(): "" for name in PLACES} | {"LOAD": registry.MEANING}
    sections = {EVERY_COMMAND: [*shown]}
    for word, options in every_options().items():
        for name, field in options.items():
            if name.upper() not in shown:
                sections.setdefault(word, []).append(name.upper())
            if not shown.get(name.upper()):
                shown[name.upper()] = meaning(field)
    return "\n\n".join(
        "\n".join([title, *(f"  {name}\n{_indented(shown[name])}" for name in names)])
        for title, names in sections.items()
    )


def _indented(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def documented(options: type[Options]) -> Callable[[Function], Function]:
    """Decorator: the docstring also explains those keywords that it does not name, by
    the meanings of these options.
    """
    known = {name: field.metadata["meaning"] for name, field in fields(options).items()}
    variable = re.compile(rf"\b({'|'.join(known).upper()})\b")

    def decorate(function: Function) -> Function:
        text = inspect.getdoc(function) or ""
        lines = ["Other Parameters", "----------------"]
        for name in inspect.signature(function).parameters:
            if f"\n{name} : " not in text:
                meaning = known.get(name, QUIET)
                meaning = variable.sub(lambda word: f"`{word[0].lower()}`", meaning)
                lines += [name, textwrap.indent(textwrap.fill(meaning, 84), " " * 4)]
        before, heading, after = text.partition("Returns\n-------\n")
        section = "\n".join(lines)
        function.__doc__ = f"{before}{section}\n\n{heading}{after}"
        return function

    return decorate
