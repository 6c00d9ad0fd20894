"""`python -m <package> <command>`: choose, parse, run, exit with a status."""

import os
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from typing import NoReturn

from featurestack.commandline import own_code, rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import (
    HANDED_OVER,
    Commands,
    Options,
    by_word,
    fields,
    kind_of,
    own_options,
    texts,
    unfold,
    with_rooms,
)
from featurestack.commandline.spelling import (
    MAKE,
    PYTHON,
    UNACTIVATED,
    CommandLine,
    called_as,
    spelled,
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
HELP = ("-h", "--help")
SHELL = {"name", "group"}  # shells and WSL export these for themselves
# make has several targets: a command ignores the others' variables
SEVERAL_TARGETS = "--several-targets"


def main(
    commands: Commands,
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
        from featurestack.commandline.exit_status import tell_error

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


def run(commands: Commands, given: Sequence[str], stage: str) -> int | None:
    """Run the command that the words name, or print its help; its exit status."""
    if sys.platform == "win32":
        raise RequestError(
            "featurestack needs POSIX locks: on Windows run it under WSL"
        )
    words = own_code.load_given(unfold(given))
    own = by_word(commands)
    command = next(iter(own.values()))
    module = sys.modules[command.__module__].__spec__
    if not stage and module:
        name = module.name.removesuffix(".__main__")
        stage = name.removeprefix("featurestack.")
    program = str(CommandLine(stage))
    if len(own) > 1:
        known = own.find(words[0]) if words else None
        if known is None:
            from featurestack.commandline.help import listing, with_those_of_rooms

            every = with_those_of_rooms(own.complete(), stage)
            if not words or words[0] in HELP:
                print(listing(spelled(stage), every))
                return 0 if words else 2
            known = every[words[0]]
        command = known
        program = str(CommandLine(f"{stage} {words.pop(0)}"))
    options = own_options(command)
    if {*HELP} & {*words}:
        from featurestack.commandline.help import help_of

        print(help_of(program, with_rooms(options)))
        return 0
    values = values_of(options, words)
    tell_exported(fields(options).keys() - values)
    return command(options.build(values))


def values_of(options: type[Options], words: Sequence[str]) -> dict[str, str]:
    """Field -> text, as `texts` reads them; with several targets of make, variables of
    the others are told and left out.
    """
    known = fields(options)
    values = texts(options, [word for word in words if word != SEVERAL_TARGETS])
    if values.keys() - known.keys():
        known = fields(with_rooms(options))
    for name, text in values.items():
        is_place = name == "dataset" or (
            name in known and kind_of(known[name])[0] is Path
        )
        if is_place and not text.strip():  # it would be the current folder
            raise RequestError(
                f"{name.upper()}= is empty, as an unset variable of the shell is:"
                " expected a file or a folder"
            )
    for name in [name for name in values if name not in known]:
        from featurestack.commandline.help import commands_taking

        users = commands_taking(name)
        if users and SEVERAL_TARGETS in words:
            tell(f"{name.upper()} does not apply here and is ignored")
            del values[name]
        elif users:
            unknown = rooms.unknown("variable", name.upper(), map(str.upper, known))
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
