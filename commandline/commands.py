"""`python -m <package> <command>`: choose, parse, run, exit with a status."""

import dataclasses
import importlib
import inspect
import os
import shlex
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NoReturn

from featurestack.commandline import rooms
from featurestack.commandline.errors import (
    DISK_FAILED,
    NOT_WRITABLE,
    Failed,
    RequestError,
    nearest,
)
from featurestack.commandline.options import (
    HANDED_OVER,
    PLACES,
    SURROGATE,
    VARIABLE,
    Options,
    fields,
    texts,
    unfold,
    with_rooms,
    written,
)
from featurestack.commandline.registry import Registry, first_sentence
from featurestack.commandline.spelling import (
    HOME,
    MAKE,
    OF_ROOMS,
    PYTHON,
    STAGES,
    TARGETS,
    UNACTIVATED,
    CommandLine,
    called_as,
)
from featurestack.commandline.terminal import (
    open_output,
    printable_output,
    tell,
    tell_warnings,
)

# Turns of a loop after which an idle OpenMP thread sleeps. The default, 300,000, takes
# time from others on a shared core (docs/explanation/reproducibility.md). OpenMP reads
# the number when torch is loaded.
SPINCOUNT = "3000"
EVERY_COMMAND = "every command, which ignores it if it means nothing there"
HELP = ("-h", "--help")
SHELL = {"name", "group"}  # shells and WSL export these for themselves
AROUND_BYTE = 30  # characters around a byte that is not UTF-8, in a message
# what an option must not be empty for: '' would be the current folder
MEANT = {
    "dataset": "a dataset's name, a folder, a table or a cache",
    "audio": "a file or a folder",
}
# make has several targets: a command ignores the others' variables
SEVERAL_TARGETS = "--several-targets"

Command = Callable[[Any], "int | None"]


def own_options(command: Command) -> type[Options]:
    """The class of a command's parameter `options`, from its annotation."""
    return typing.get_type_hints(command)["options"]


def options_of(command: Command) -> type[Options]:
    """The class of a command's options, with those that rooms add."""
    return with_rooms(own_options(command))


def every_command() -> dict[str, Command]:
    """Words after `python -m` -> function; make's targets come first, in the order of
    use.
    """
    found = {}
    for stage in STAGES:
        listed = commands_of(stage)
        for function in listed:
            found[f"{stage} {word(function)}" if len(listed) > 1 else stage] = function
    first = [words for words in TARGETS.values() if words in found]
    return {words: found[words] for words in [*first, *found]}


def commands_of(stage: str) -> list[Command]:
    """The commands of a package and those that rooms add to it; `demo` and `answer` are
    those of a room alone.
    """
    own: list[Command] = []
    if stage == "bench":  # a folder of the clone alone
        own = importlib.import_module("bench.__main__").COMMANDS
    elif stage not in OF_ROOMS:
        own = importlib.import_module(f"featurestack.{stage}.__main__").COMMANDS
    return [*own, *commands_of_rooms(stage)]


def commands_of_rooms(stage: str) -> list[Command]:
    """The commands that rooms add to a package, in the order of their entry points."""
    return [
        rooms.load("commands", words)
        for words in rooms.names("commands")
        if words.split()[0] == stage
    ]


def word(command: Command) -> str:
    """The word typed for a command."""
    return command.__name__.rstrip("_")


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
    """Every variable below the first command that takes it, or all meanings of the
    wanted one.
    """
    # variable -> meaning -> commands
    users: Registry[dict[str, list[str]]] = Registry(
        "variable", {name.upper(): {} for name in PLACES}
    )
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
        title = (
            EVERY_COMMAND if variable.lower() in PLACES else str(CommandLine(names[0]))
        )
        sections.setdefault(title, []).append(f"  {variable}\n{meaning}")
    return "\n\n".join(
        "\n".join([title, *listed]) for title, listed in sections.items()
    )


def meanings(options: type[Options]) -> dict[str, str]:
    """Field -> its default in brackets, if it has one, and what it means."""
    result = {}
    for name, field in fields(options).items():
        default = "" if field.default is dataclasses.MISSING else written(field.default)
        shown = "" if default in ("None", "", "False") else f"[{default}] "
        result[name] = shown + field.metadata["meaning"]
    return result


def _indented(text: str) -> str:
    return textwrap.fill(
        text,
        98,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
    )


def help_of(program: str, options: type[Options]) -> str:
    """The help of one command: its usage, and each option with its meaning."""
    usage = (
        f"usage: {program} [NAME=value | --name value] ...\n\n"
        f"{inspect.getdoc(options)}\n"
    )
    lines = [usage]
    if options.example:
        lines.append(f"Example: {program} {options.example}\n")
    heading = len(lines)
    known = meanings(options)
    for name in dict.fromkeys([*options.leading, *known]):
        if len(lines) == len(options.leading) + heading and options.leading:
            lines.append(f"Further options, {len(known) - len(options.leading)}:\n")
        flag = name.replace("_", "-")
        lines.append(f"  {name.upper()}=, --{flag}\n{_indented(known[name])}")
    return "\n".join(lines)


def main(
    commands: Sequence[Command],
    argv: Sequence[str] | None = None,
    spelling: str = PYTHON,
    stage: str = "",
) -> NoReturn:
    """Run the command that the words name and exit: 0, 1 if work failed, 2 if refused,
    130 after Ctrl-C.

    `commands` are functions `def name(options: SomeOptions) -> int | None`; a single
    one takes no command word. Messages write commands in this `spelling`. `stage` is
    the word after `python -m`, by default the package of the first command.
    """
    tell_warnings()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINCOUNT)
    open_output()
    given = sys.argv[1:] if argv is None else argv
    if HANDED_OVER in given:
        spelling = MAKE
    called_as(spelling)
    status: int | None
    try:
        here = current_folder()
        if sys.prefix == str(here / ".venv") != os.environ.get("VIRTUAL_ENV"):
            called_as(spelling, UNACTIVATED)
        with printable_output():
            status = run(commands, given, stage)
    except (Exception, KeyboardInterrupt) as error:
        status = tell_error(error)
        if status is None:
            raise  # our own fault
    sys.exit(status or 0)


def current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise RequestError(
            "the current folder was removed: change to another one (cd)"
        ) from None


def run(
    commands: Sequence[Command],
    given: Sequence[str],
    stage: str,
) -> int | None:
    """Choose a command by the given words, run it or print its help; returns the exit
    status.
    """
    if sys.platform == "win32":
        raise RequestError(
            "featurestack needs POSIX locks: on Windows run it under WSL"
        )
    words = unfold(given)
    module = sys.modules[commands[0].__module__].__spec__
    if not stage and module:
        name = module.name.removesuffix(".__main__")
        stage = name.removeprefix("featurestack.")
    program = CommandLine(stage)
    command = commands[0]
    if len(commands) > 1:
        by_name = Registry("command", {word(command): command for command in commands})
        if not (words and words[0] in by_name):
            for added in commands_of_rooms(stage):
                by_name.setdefault(word(added), added)
        if not words or words[0] in HELP:
            print(listing(str(program), by_name))
            return 0 if words else 2
        command = by_name[words[0]]
        program = CommandLine(f"{stage} {words.pop(0)}")
    if {*HELP} & {*words}:
        print(help_of(str(program), options_of(command)))
        return 0
    options = own_options(command)
    if not takes_all(options, words):
        options = options_of(command)
    values = values_of(options, words)
    tell_exported(fields(options).keys() - values)
    return command(options.build(values))


def takes_all(options: type[Options], words: Sequence[str]) -> bool:
    """Whether the class takes every option that the words name."""
    known = {*fields(options), *PLACES}
    for word in words:
        variable = VARIABLE.fullmatch(word)
        name = variable[1] if variable else word.partition("=")[0].removeprefix("--")
        if (variable or word.startswith("--")) and name.lower().replace(
            "-", "_"
        ) not in known:
            return False
    return True


def values_of(options: type[Options], words: Sequence[str]) -> dict[str, str]:
    """Field -> text, as `texts` reads them; RequestError for a variable of other
    commands.

    If make was given several targets, variables of the others are told and left out.
    """
    known = fields(options)
    values = texts(options, [word for word in words if word != SEVERAL_TARGETS])
    for name in ("dataset", "audio"):
        if not values.get(name, name).strip():
            raise RequestError(
                f"{name.upper()}= is empty, as an unset variable of the shell is:"
                f" expected {MEANT[name]}"
            )
    for name in [name for name in values if name not in known]:
        users = [
            user
            for user, other in every_command().items()
            if name in fields(options_of(other))
        ]
        if users and SEVERAL_TARGETS in words:
            tell(f"{name.upper()} does not apply here and is ignored")
            del values[name]
        elif users:
            unknown = nearest("variable", name.upper(), map(str.upper, known))
            raise RequestError(f"{unknown}; it is one of {', '.join(users)}")
    return values


def tell_exported(names: Set[str]) -> None:
    """Tell which of these options are exported as variables, which are ignored."""
    exported = os.environ.keys() & {name.upper() for name in names - SHELL}
    if exported:
        tell(
            f"ignored: {', '.join(sorted(exported))} of the environment; variables"
            " count on the command line alone"
        )


def tell_error(error: BaseException) -> int | None:
    """Tell an error in one sentence; returns the exit status, None for our own
    faults.
    """
    if isinstance(error, RequestError):
        tell(f"error: {error}")
        return 2
    if isinstance(error, Failed):
        tell(f"failed: {error}")
        return 1
    if isinstance(error, KeyboardInterrupt):
        tell("\nstopped; the same command goes on from here")
        return 130
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody reads our output any more
        return 1
    if isinstance(error, ModuleNotFoundError):
        return tell_missing_module(error)
    if isinstance(error, UnicodeEncodeError):
        if not SURROGATE.match(error.object, error.start):
            return None
        first = max(0, error.start - AROUND_BYTE)
        around = error.object[first : error.end + AROUND_BYTE]
        tell(f"error: {around!a} is not UTF-8: rename this file or folder")
        return 2
    if isinstance(error, OSError) and error.errno in (*DISK_FAILED, *NOT_WRITABLE):
        tell(f"error: {error.filename or 'a file'}: {os.strerror(error.errno)}")
        return 1 if error.errno in DISK_FAILED else 2
    return None


def tell_missing_module(error: ModuleNotFoundError) -> int | None:
    """Tell a Python without our libraries which environment to activate; None in
    another environment.
    """
    if not (HOME / ".venv").is_dir() or sys.prefix != sys.base_prefix:
        return None
    activate = shlex.quote(f"{HOME}/.venv/bin/activate")
    tell(
        f"error: this Python lacks {error.name}: activate the environment that has it:"
        f" . {activate}"
    )
    return 2
