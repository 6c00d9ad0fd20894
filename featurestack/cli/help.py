"""The texts of help: the program's words, a command's variables, all variables, the
keywords of a function.
"""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from featurestack.base import registry
from featurestack.base.errors import ALIKE, RequestError, closest
from featurestack.base.options import PLACES, Options, fields, written
from featurestack.base.registry import Registry
from featurestack.base.shell import program
from featurestack.cli.words import (
    ALIASES,
    COMMANDS,
    every_options,
    options_of,
)

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


def explained(topics: Sequence[str]) -> str:
    """The help of the program, of every variable (ALL=1), of one, or of a command."""
    if not topics:
        return listing()
    topic = topics[0]
    if topic.startswith("ALL="):
        return variables()
    if topic in ALIASES or topic in COMMANDS:
        return help_of(topic)
    known = {*PLACES, "load"}.union(*every_options().values())
    meant = closest(topic, [*COMMANDS, *known], ALIKE)
    # variables are typed in large letters
    if topic.lower() not in known and meant in COMMANDS and not topic.isupper():
        raise RequestError(f"unknown word {topic!r}; did you mean {meant!r}?")
    return variables(topic.upper())


def listing() -> str:
    """The usage of the program, each command's meaning, and the common variables."""
    words = {word: command.meaning for word, command in COMMANDS.items()}
    if program() == "make":
        words |= OF_CLONE
    width = max(map(len, words))
    lines = [f"  {word:{width}}  {meaning}" for word, meaning in words.items()]
    common = []
    for names in COMMON:
        options = fields(options_of(names[0]))
        for name in names[1:]:
            [meaning] = meanings({name: options[name]}).values()
            text = f"  {name.upper() + '=':{width}}  {meaning}"
            common.append(textwrap.shorten(text.strip(), 98, placeholder=" …"))
    usage = f"usage: {program()} WORD [NAME=value] ...\n"
    common = [f"  {line}" for line in common]
    more = (
        f"{program()} help WORD explains a command or a variable, {program()} help"
        " ALL=1 all variables."
    )
    return "\n".join([usage, *lines, "", *common, "", more])


def variables(wanted: str = "") -> str:
    """Every variable below the first command that takes it, or only the wanted one."""
    # variable -> meaning -> commands
    users: Registry[dict[str, list[str]]] = Registry(
        "variable", {name.upper(): {} for name in PLACES}
    )
    users["LOAD"] = {_indented(registry.MEANING): [EVERY_COMMAND]}
    for word, options in every_options().items():
        for field, meaning in meanings(options).items():
            users.setdefault(field.upper(), {}).setdefault(
                _indented(meaning), []
            ).append(word)
    if wanted:
        users["QUIET"] = {_indented(QUIET): ["functions in Python, quiet=True"]}
        return "\n".join(
            f"{wanted}=\n{meaning}\n{_indented('for: ' + ', '.join(names))}"
            for meaning, names in users[wanted].items()
        )
    sections: dict[str, list[str]] = {EVERY_COMMAND: []}
    for variable, by_meaning in users.items():
        meaning, names = next(iter(by_meaning.items()))
        everywhere = variable.lower() in (*PLACES, "load")
        title = EVERY_COMMAND if everywhere else names[0]
        sections.setdefault(title, []).append(f"  {variable}\n{meaning}")
    return "\n\n".join(
        "\n".join([title, *listed]) for title, listed in sections.items()
    )


def meanings(known: Mapping[str, "dataclasses.Field[Any]"]) -> dict[str, str]:
    """Field -> its default in brackets, if it has one, and what it means."""
    result = {}
    for name, field in known.items():
        unset = any(
            field.default is none for none in (dataclasses.MISSING, None, False)
        )
        default = "" if unset else written(field.default)
        shown = f"[{default}] " if default else ""
        result[name] = shown + field.metadata["meaning"]
    return result


def _indented(text: str) -> str:
    return textwrap.fill(text, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)


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


def help_of(word: str) -> str:
    """The help of one command: its usage, and each option with its meaning."""
    command = COMMANDS[ALIASES.get(word, word)]
    options = options_of(word)
    typed = f"{program()} {ALIASES.get(word, word)}"
    lines = [f"usage: {typed} [NAME=value] ...\n\n{command.meaning}\n"]
    if more := (inspect.getdoc(options) or "").partition("\n\n")[2]:
        lines.append(f"{more.strip()}\n")
    if options.example:
        lines.append(f"Example: {typed} {options.example}\n")
    heading = len(lines)
    known = meanings(fields(options))
    for name in dict.fromkeys([*options.leading, *known]):
        if len(lines) == len(options.leading) + heading and options.leading:
            lines.append(f"{len(known) + 1 - len(options.leading)} more options:\n")
        lines.append(f"  {name.upper()}=\n{_indented(known[name])}")
    lines.append(f"  LOAD=\n{_indented(registry.MEANING)}")
    return "\n".join(lines)
