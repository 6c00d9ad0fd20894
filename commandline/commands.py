"""`python -m <package> <command>`: choose, parse, run, exit with a status; and every command in one list."""

import dataclasses
import functools
import importlib
import inspect
import itertools
import os
import sys
import textwrap
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from commandline.errors import DISK_FAILED, NOT_WRITABLE, Failed, RequestError, nearest
from commandline.options import SURROGATE, Options, fields, texts, unfold
from commandline.terminal import tell, tell_warnings

STAGES = ("pipeline", "features_cache", "train", "analysis", "bench", "demo")
# Turns that an idle thread of OpenMP waits for work before it sleeps, 300,000 by default: on a shared core
# waiting takes time from everybody (docs/howto/training.md). It is read when torch is loaded.
SPINCOUNT = "3000"
SHOWN = 30  # characters around a byte that is not UTF-8, in a message
SEVERAL_TARGETS = "--several-targets"  # make was given others too: their variables are none of our business

Command = Callable[[Any], "int | None"]


def options_of(command: Command) -> type[Options]:
    """The class that a command's parameter `options` is annotated with."""
    return typing.get_type_hints(command)["options"]


def commands() -> Iterator[tuple[str, Command]]:
    """(`python -m` words, function) of every command of the project."""
    for stage in STAGES:
        module = importlib.import_module(stage if stage == "demo" else f"{stage}.__main__")
        for function in module.COMMANDS:
            word = "" if len(module.COMMANDS) == 1 else " " + function.__name__.rstrip("_")
            yield stage + word, function


def every_variable() -> str:
    """Each variable of every command: its default, what it means, which commands take it so."""
    users: dict[tuple[str, str], list[str]] = {}
    for name, command in commands():
        for field, meaning in meanings(options_of(command)).items():
            users.setdefault((field.upper(), meaning), []).append(name)
    return "\n".join(
        f"  {variable}\n{_indented(meaning)}\n{_indented('for: ' + ', '.join(names))}"
        for (variable, meaning), names in sorted(users.items())
    )


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


def main(commands: Sequence[Command], argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the words name and exit with its status: 0, 1, or 2 for a wrong request.

    `commands` are functions `def name(options: SomeOptions) -> int | None`; a single one takes no command
    word. The package's name is that of the module that calls.
    """
    by_name = {command.__name__.rstrip("_"): command for command in commands}
    tell_warnings()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINCOUNT)
    try:
        if sys.platform == "win32":
            raise RequestError("featurestack needs POSIX locks: on Windows run it under WSL")
        words = unfold(sys.argv[1:] if argv is None else argv)
        prog = f"python -m {sys.modules['__main__'].__package__ or '…'}"
        command = commands[0]
        if len(commands) > 1:
            if not words or words[0] in ("-h", "--help"):
                width = max(map(len, by_name))
                print(f"usage: {prog} COMMAND [--help]\n")
                for name, function in by_name.items():
                    first, *_ = str(function.__doc__).splitlines()
                    print(f"  {name.ljust(width)}  {first}")
                sys.exit(0 if words else 2)
            if words[0] not in by_name:
                raise RequestError(nearest("command", words[0], by_name))
            prog = f"{prog} {words[0]}"
            command = by_name[words[0]]
            words = words[1:]
        options = options_of(command)
        if {"-h", "--help"} & {*words}:
            print(f"usage: {prog} [NAME=value | --name value] ...\n\n{inspect.getdoc(options)}\n")
            for name, meaning in meanings(options).items():
                print(f"  {name.upper()}=, --{name.replace('_', '-')}\n{_indented(meaning)}")
            sys.exit(0)
        several = SEVERAL_TARGETS in words
        words = [word for word in words if word != SEVERAL_TARGETS]
        given = texts(options, words, functools.partial(_unknown, options, several))
        status = command(options.build(given))
    except RequestError as error:
        tell(f"error: {error}")
        status = 2
    except Failed as failure:
        tell(f"failed: {failure}")
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


def _unknown(options: type[Options], several: bool, variable: str) -> None:
    """RequestError unless the variable is one of another target that make was given as well."""
    known = {name: fields(options_of(command)) for name, command in commands()}
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
