"""The console command: `featurestack COMMAND NAME=value …`."""

import sys
from pathlib import Path
from typing import NoReturn

from featurestack import __version__
from featurestack.commandline import commands, rooms, spelling
from featurestack.commandline.help import commands_of, every_command, listing, variables
from featurestack.commandline.options import DatasetOptions, Options, option
from featurestack.commandline.spelling import CONSOLE, PYTHON, stages, targets, words_of
from featurestack.commandline.terminal import tell


class HelpOptions(Options):
    """Every variable below the first command that takes it, or all meanings of one."""

    variable: str = option(
        "",
        "one variable, such as FEATURES, or a command, such as train",
        positional=True,
    )


def help_(options: HelpOptions) -> None:
    """Show every variable with its meaning; `help FEATURES` shows one, `help train`
    those of a command.
    """
    print(variables(options.variable.upper()))


def overview(options: Options) -> None:
    """List every command, in the order in which one needs them."""
    target_of = {words: target for target, words in targets().items()}
    every = {
        target_of.get(words, words): each for words, each in every_command().items()
    }
    print(listing(spelling.caller(), {**every, "help": help_}))


def known(options: DatasetOptions) -> None:
    """Do nothing: parsing has refused every word that is no variable of any command."""


def run_stage(
    stage: str, argv: list[str] | None = None, called: str = PYTHON
) -> NoReturn:
    """Run a command of a package, or of a room's word such as `demo`, and exit."""
    found = commands_of(stage)
    if not found:
        tell(f"error: {rooms.in_no_room(stage)}")
        sys.exit(2)
    commands.main(found, argv, called, stage)


def main() -> NoReturn:
    """`featurestack COMMAND …`: a target of make, or the words after `python -m`."""
    word, *rest = sys.argv[1:] or ["--help"]
    called = CONSOLE if Path(sys.argv[0]).name == CONSOLE else f"{PYTHON} {CONSOLE}"
    if word == "--version":
        print(CONSOLE, __version__)
        sys.exit()
    if word in commands.HELP:
        commands.main([overview], [], called)
    known_words = {*targets(), *stages()}
    if word == "help":
        rest = [given for given in rest if given != "ALL=1"]  # a word of make
        if {*rest[:1]} & known_words:
            word, *rest = [*rest, "--help"]
    if word in ("help", "known"):
        commands.main([help_, known], [word, *rest], called)
    stage, *more = words_of(word).split()
    if word in stages() and {*rest[:1]} & commands_of(word).keys():
        stage, more = word, []  # `train` is a target, and the stage of `train list`
    if stage not in stages():
        tell(f"error: {rooms.unknown('command', word, {*known_words, 'help'})}")
        sys.exit(2)
    run_stage(stage, [*more, *rest], called)
