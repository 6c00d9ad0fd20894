"""`python -m <package> <command>`: choose, parse, run, exit with a status."""

import dataclasses
import functools
import importlib
import inspect
import itertools
import os
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from commandline.errors import DISK_FAILED, NOT_WRITABLE, Failed, RequestError, nearest
from commandline.options import HANDED_OVER, PLACES, SURROGATE, Options, fields, texts, unfold
from commandline.registry import Registry
from commandline.spelling import MAKE, PYTHON, called_as, spelled
from commandline.terminal import tell, tell_warnings

# Turns that an idle thread of OpenMP waits for work before it sleeps, 300,000 by default: on a shared core
# waiting takes time from everybody (docs/explanation/reproducibility.md). It is read when torch is loaded.
SPINCOUNT = "3000"
EVERY_COMMAND = "every command, which ignores it if it means nothing there"
HELP = ("-h", "--help")
SHELL = {"name", "group"}  # shells and WSL export these for themselves
SHOWN = 30  # characters around a byte that is not UTF-8, in a message
HANDED_ON = "FEATURESTACK_CALLED_AS"  # environment variable: how the command was called that started this one
SEVERAL_TARGETS = "--several-targets"  # make was given others too: their variables are none of our business

Command = Callable[[Any], "int | None"]


def options_of(command: Command) -> type[Options]:
    """The class that a command's parameter `options` is annotated with."""
    return typing.get_type_hints(command)["options"]


def commands(stages: Iterable[str]) -> Iterator[tuple[str, Command]]:
    """(`python -m` words, function) of every command of these stages."""
    for stage in stages:
        listed = commands_of(stage)
        for function in listed:
            yield stage + (f" {word(function)}" if len(listed) > 1 else ""), function


def commands_of(stage: str) -> list[Command]:
    """The commands of a package or of the module `demo`."""
    return importlib.import_module(stage if stage == "demo" else f"{stage}.__main__").COMMANDS


def word(command: Command) -> str:
    """The word typed for a command."""
    return command.__name__.rstrip("_")


def first_line(command: Command) -> str:
    """The first line of a command's docstring."""
    return str(command.__doc__).splitlines()[0]


def variables(commands: Mapping[str, Command], wanted: str = "") -> str:
    """Every variable, each below the first of these commands that takes it; or all that is to say of one."""
    # variable -> meaning -> commands
    users: Registry[dict[str, list[str]]] = Registry("variable", {name.upper(): {} for name in PLACES})
    for name, command in commands.items():
        for field, meaning in meanings(options_of(command)).items():
            users.setdefault(field.upper(), {}).setdefault(_indented(spelled(meaning)), []).append(name)
    if wanted:
        return "\n".join(
            f"{meaning}\n{_indented('for: ' + ', '.join(names))}" for meaning, names in users[wanted].items()
        )
    sections: dict[str, list[str]] = {EVERY_COMMAND: []}
    for variable, by_meaning in users.items():
        meaning, names = next(iter(by_meaning.items()))
        title = EVERY_COMMAND if variable.lower() in PLACES else spelled(f"{PYTHON} {names[0]}")
        sections.setdefault(title, []).append(f"  {variable}\n{meaning}")
    return "\n\n".join("\n".join([title, *listed]) for title, listed in sections.items())


def meanings(options: type[Options]) -> dict[str, str]:
    """By field: its default in brackets, if it has one, and what it means."""
    result = {}
    for name, field in fields(options).items():
        default = field.default
        text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
        shown = (
            f"[{text}] " if text not in ("None", "", "False") and default is not dataclasses.MISSING else ""
        )
        result[name] = shown + field.metadata["meaning"]
    return result


def _indented(text: str) -> str:
    return textwrap.fill(text, 98, initial_indent=" " * 6, subsequent_indent=" " * 6)


def main(
    commands: Sequence[Command],
    stages: Sequence[str] = (),
    argv: Sequence[str] | None = None,
    spelling: str = PYTHON,
    package: str = "",
) -> NoReturn:
    """Run the command that the words name and exit with its status: 0, 1, or 2 for a wrong request.

    `commands` are functions `def name(options: SomeOptions) -> int | None`; a single one takes no command
    word. `stages` are all of the project: a variable of another command is named with it. Messages write
    commands in this `spelling`. `package` is what the commands belong to: the program, if it is not given.
    """
    by_name = {word(command): command for command in commands}
    tell_warnings()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINCOUNT)
    given = sys.argv[1:] if argv is None else argv
    handed_on = os.environ.pop(HANDED_ON, "")
    spelling = handed_on or (MAKE if HANDED_OVER in given else spelling)
    of_make = spelling == MAKE and sys.prefix == str(Path(".venv").absolute())
    called_as(spelling, activated=not of_make or os.environ.get("VIRTUAL_ENV") == sys.prefix)
    try:
        if sys.platform == "win32":
            raise RequestError("featurestack needs POSIX locks: on Windows run it under WSL")
        words = unfold(given)
        prog = f"{PYTHON} {package or sys.modules['__main__'].__package__ or '…'}"
        command = commands[0]
        if len(commands) > 1:
            if not words or words[0] in HELP:
                width = max(map(len, by_name))
                print(f"usage: {spelled(prog)} COMMAND [--help]\n")
                for name, function in by_name.items():
                    print(f"  {name.ljust(width)}  {first_line(function)}")
                sys.exit(0 if words else 2)
            if words[0] not in by_name:
                raise RequestError(nearest("command", words[0], by_name))
            prog = f"{prog} {words[0]}"
            command = by_name[words[0]]
            words = words[1:]
        options = options_of(command)
        if {*HELP} & {*words}:
            print(f"usage: {spelled(prog)} [NAME=value | --name value] ...\n")
            print(f"{spelled(inspect.getdoc(options) or '')}\n")
            for name, meaning in meanings(options).items():
                print(f"  {name.upper()}=, --{name.replace('_', '-')}\n{_indented(spelled(meaning))}")
            sys.exit(0)
        several = SEVERAL_TARGETS in words
        words = [word for word in words if word != SEVERAL_TARGETS]
        values = texts(options, words, functools.partial(_unknown, options, stages, several))
        exported = os.environ.keys() & {name.upper() for name in fields(options).keys() - values - SHELL}
        if exported and not handed_on:
            ignored = ", ".join(sorted(exported))
            tell(f"ignored: {ignored} of the environment; variables count on the command line alone")
        status = command(options.build(values))
    except RequestError as error:
        tell(f"error: {error}")
        status = 2
    except Failed as failure:
        tell(f"failed: {spelled(str(failure))}")
        status = 1
    except KeyboardInterrupt:
        tell("\nstopped; the same command goes on from here")
        status = 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nobody is left to tell
        status = 1
    except UnicodeEncodeError as error:
        if not SURROGATE.match(error.object, error.start):
            raise
        shown = error.object[max(0, error.start - SHOWN) : error.end + SHOWN]
        tell(f"error: {shown!a} is not UTF-8: rename this file or folder")
        status = 2
    except OSError as error:
        if error.errno not in (*DISK_FAILED, *NOT_WRITABLE):
            raise  # our own fault
        tell(f"error: {error.filename or 'a file'}: {os.strerror(error.errno)}")
        status = 1 if error.errno in DISK_FAILED else 2
    sys.exit(status or 0)


def _unknown(options: type[Options], stages: Sequence[str], several: bool, variable: str) -> None:
    """RequestError unless the variable is one of another target that make was given as well."""
    known = {name: fields(options_of(command)) for name, command in commands(stages)}
    users = [name for name, others in known.items() if variable.lower() in others]
    if several and users:
        tell(f"{variable} does not apply here and is ignored")
        return
    elsewhere = f"; it is one of {', '.join(users)}" if users else ""
    own = fields(options)
    if users and not own:  # a target without options, such as docs
        raise RequestError(f"{variable} does not apply here{elsewhere}")
    meant = own or itertools.chain(*known.values())
    raise RequestError(nearest("variable", variable, {name.upper() for name in meant}) + elsewhere)
