"""Every command with its options, those of rooms included, and the texts of --help.

A command that runs needs none of this.
"""

import dataclasses
import importlib
import inspect
import textwrap
from collections.abc import Mapping

from featurestack.commandline import own_code, rooms
from featurestack.commandline.options import (
    PLACES,
    Command,
    Options,
    by_word,
    fields,
    own_options,
    with_rooms,
    written,
)
from featurestack.commandline.registry import Registry, first_sentence
from featurestack.commandline.spelling import STAGES, CommandLine, stages, targets
from featurestack.commandline.terminal import tell_once

EVERY_COMMAND = "every command, which ignores it if it means nothing there"


def options_of(command: Command) -> type[Options]:
    """The class of a command's options, with those that rooms add."""
    return with_rooms(own_options(command))


def every_command() -> dict[str, Command]:
    """Words after `python -m` -> function, make's targets first, in order of use."""
    found = {}
    for stage in stages():
        listed = commands_of(stage)
        for word, command in listed.items():
            found[f"{stage} {word}" if len(listed) > 1 else stage] = command
    first = [words for words in targets().values() if words in found]
    return {words: found[words] for words in [*first, *found]}


def commands_of(stage: str) -> Registry[Command]:
    """The commands of a package and of rooms in it, or of one room, by their word."""
    found: Registry[Command] = Registry("command")
    if stage == "bench":  # a folder of the clone alone
        found = by_word(importlib.import_module("bench.__main__").COMMANDS)
    elif stage in STAGES:
        module = importlib.import_module(f"featurestack.{stage}.__main__")
        found = by_word(module.COMMANDS).complete()
    return with_those_of_rooms(found, stage)


def with_those_of_rooms(own: Registry[Command], stage: str) -> Registry[Command]:
    """The commands of a package and those that rooms add to it, by word."""
    found = Registry("command", own)
    for words, addition in rooms.names("commands").items():
        first, _, word = words.partition(" ")
        if first != stage:
            continue
        word = word or stage
        for command in rooms.loaded("commands", only=[words], check=own_options):
            if found.setdefault(word, command) is not command:
                title = addition.room.place.title
                tell_once(f"{words} of {title} is left out: the core has it")
    return found


def commands_taking(name: str) -> list[str]:
    """The words of every command that has this option."""
    every = every_command()
    return [words for words in every if name in fields(options_of(every[words]))]


def listing(program: str, commands: Mapping[str, Command]) -> str:
    """The help of a program: its usage, and each command's first sentence."""
    width = max(map(len, commands))
    lines = [
        f"  {words:{width}}  {first_sentence(each)}" for words, each in commands.items()
    ]
    return "\n".join(
        [f"usage: {program} COMMAND [NAME=value | --name value] ...\n", *lines]
    )


def variables(wanted: str = "") -> str:
    """Every variable below the first command that takes it, or the wanted one alone."""
    # variable -> meaning -> commands
    users: Registry[dict[str, list[str]]] = Registry(
        "variable", {name.upper(): {} for name in PLACES}
    )
    users["LOAD"] = {_indented(own_code.MEANING): [EVERY_COMMAND]}
    for name, command in every_command().items():
        for field, meaning in meanings(options_of(command)).items():
            users.setdefault(field.upper(), {}).setdefault(
                _indented(meaning), []
            ).append(name)
    if wanted:
        return "\n".join(
            f"{meaning}\n{_indented('for: ' + ', '.join(names))}"
            for meaning, names in users[wanted].items()
        )
    sections: dict[str, list[str]] = {EVERY_COMMAND: []}
    for variable, by_meaning in users.items():
        meaning, names = next(iter(by_meaning.items()))
        everywhere = variable.lower() in (*PLACES, "load")
        title = EVERY_COMMAND if everywhere else str(CommandLine(names[0]))
        sections.setdefault(title, []).append(f"  {variable}\n{meaning}")
    return "\n\n".join(
        "\n".join([title, *listed]) for title, listed in sections.items()
    )


def meanings(options: type[Options]) -> dict[str, str]:
    """Field -> its default in brackets, if it has one, and what it means."""
    result = {}
    for name, field in fields(options).items():
        unset = any(
            field.default is none for none in (dataclasses.MISSING, None, False)
        )
        default = "" if unset else written(field.default)
        shown = f"[{default}] " if default else ""
        result[name] = shown + field.metadata["meaning"]
    return result


def _indented(text: str) -> str:
    return textwrap.fill(text, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)


def help_of(program: str, options: type[Options]) -> str:
    """The help of one command: its usage, and each option with its meaning."""
    usage = f"usage: {program} [NAME=value | --name value] ..."
    lines = [f"{usage}\n\n{inspect.getdoc(options)}\n"]
    if options.example:
        lines.append(f"Example: {program} {options.example}\n")
    heading = len(lines)
    known = meanings(options)
    for name in dict.fromkeys([*options.leading, *known]):
        if len(lines) == len(options.leading) + heading and options.leading:
            lines.append(f"Further options, {len(known) + 1 - len(options.leading)}:\n")
        flag = name.replace("_", "-")
        lines.append(f"  {name.upper()}=, --{flag}\n{_indented(known[name])}")
    lines.append(f"  LOAD=, --load\n{_indented(own_code.MEANING)}")
    return "\n".join(lines)
