"""`python -m <package> <command>`: choose the command, parse its options, run it, exit with its status."""

import inspect
import sys
from collections.abc import Sequence
from typing import NoReturn

from commandline.catalogue import known_variables
from commandline.errors import RequestError, nearest
from commandline.parse import Command, options_of, parse


def main(commands: Sequence[Command], argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the words name and exit with its status: 0, 1, or 2 for a wrong request.

    `commands` are functions `def name(options: SomeDataclass) -> int | None`; a single one takes
    no command word. The package's name is that of the module that calls.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        command, rest = _choose(commands, words)
        status = command(_options(commands, command, rest))
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nobody is left to tell
        sys.exit(1)
    sys.exit(status or 0)


def _options(commands: Sequence[Command], command: Command, words: list[str]) -> object:
    return parse(options_of(command), words, _prog(commands, command), known_variables)


def _choose(commands: Sequence[Command], words: list[str]) -> tuple[Command, list[str]]:
    if len(commands) == 1:
        return commands[0], words
    by_name = {command.__name__.rstrip("_"): command for command in commands}
    if not words or words[0] in ("-h", "--help"):
        print(_overview(by_name))
        sys.exit(0 if words else 2)
    if words[0] not in by_name:
        raise RequestError(nearest("command", words[0], by_name))
    return by_name[words[0]], words[1:]


def _overview(by_name: dict[str, Command]) -> str:
    width = max(map(len, by_name))
    lines = [
        f"  {name.ljust(width)}  {(inspect.getdoc(command) or '').splitlines()[0]}"
        for name, command in by_name.items()
    ]
    return "\n".join([f"usage: python -m {_package()} COMMAND [--help]", "", *lines])


def _package() -> str:
    """`pipeline` for `python -m pipeline`, whose __main__ module has that package."""
    return getattr(sys.modules.get("__main__"), "__package__", None) or "…"


def _prog(commands: Sequence[Command], command: Command) -> str:
    word = "" if len(commands) == 1 else " " + command.__name__.rstrip("_")
    return f"python -m {_package()}{word}"
