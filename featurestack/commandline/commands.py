"""How a command runs: choose, parse, run, exit with a status.

`featurestack WORD NAME=value …` and, in a clone, `make WORD NAME=value …`.
"""

import os
import sys
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, NoReturn

from featurestack.commandline import NAME, VERSION
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.options import (
    Options,
    field_of,
    fields,
    kind_of,
    own_options,
    texts,
    unfold,
)
from featurestack.commandline.terminal import (
    open_output,
    printable_output,
    tell,
    tell_warnings,
)
from featurestack.commandline.words import (
    commands_taking,
    function_of,
    named,
    options_of,
)

# Turns of a loop after which an idle OpenMP thread sleeps. The default, 300,000, takes
# time from others on a shared core (docs/explanation/protocol.md). OpenMP reads
# the number when torch is loaded.
SPINCOUNT = "3000"
HELP = ("-h", "--help")
SHELL = {"name", "group"}  # shells and WSL export these for themselves


def main() -> NoReturn:
    """Run the command that the first word names, and exit."""
    exit_after(lambda: run_words(sys.argv[1:] or HELP[:1]))


def script(function: Callable[[Any], "int | None"]) -> NoReturn:
    """Run one function of its `options`, which a file of a clone has, and exit."""
    exit_after(lambda: run(function, own_options(function), sys.argv[1:]))


def exit_after(work: "Callable[[], int | None]") -> NoReturn:
    """Do the work of a command and exit: 0, 1 if work failed, 2 if the request was
    refused, 130 after Ctrl-C.
    """
    tell_warnings()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINCOUNT)
    open_output()
    status: int | None
    try:
        if sys.platform == "win32":
            raise RequestError(
                "featurestack needs POSIX locks: on Windows run it under WSL"
            )
        current_folder()
        with printable_output():
            status = work()
    except (Exception, KeyboardInterrupt) as error:
        from featurestack.commandline.exit_status import tell_error

        status = tell_error(error)
    sys.exit(status or 0)


def current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise RequestError(
            "the current folder was removed: change to another one (cd)"
        ) from None


def run_words(given: Sequence[str]) -> int | None:
    """Run a command, or print help or the version; the exit status."""
    words = unfold(given)
    if any(field_of(word) == "load" for word in words):
        from featurestack.commandline.registry import load_given

        words = load_given(words)
    word, *rest = words
    if word == "--version":
        print(NAME, VERSION)
        return 0
    if word in (*HELP, "help"):
        from featurestack.commandline.help import explained

        print(explained(rest) if word == "help" else explained([]))
        return 0
    command = named(word)
    if {*HELP} & {*rest}:
        return run_words(["help", word])
    return run(function_of(command), options_of(command), rest)


def run(
    function: Callable[[Any], "int | None"],
    options: type[Options],
    words: Sequence[str],
) -> int | None:
    """Run a function of its `options` with these words; its exit status."""
    values = values_of(options, words)
    known = fields(options)
    tell_exported(known.keys() - values)
    default = ""
    if "dataset" in known.keys() - values:
        default = str(known["dataset"].default)
    try:
        return function(options.build(values))
    except RequestError as error:
        if default and default in str(error):
            raise RequestError(
                f"{error} (DATASET= was not given, so {default})"
            ) from error
        raise


def values_of(options: type[Options], words: Sequence[str]) -> dict[str, str]:
    """Field -> text, as `texts` reads them."""
    values = texts(options, words)
    known = fields(options)
    for name, text in values.items():
        is_place = name == "dataset" or (
            name in known and kind_of(known[name])[0] is Path
        )
        if is_place and not text.strip():  # it would be the current folder
            raise RequestError(
                f"{name.upper()}= is empty, as an unset variable of the shell is:"
                " expected a file or a folder"
            )
        if name not in known and (users := commands_taking(name)):
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
