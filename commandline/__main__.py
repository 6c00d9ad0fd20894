"""`python -m commandline known --make …` checks variables; `… variables` lists them all."""

from commandline.commands import Command, every_variable, main
from commandline.options import Options


def known(options: Options) -> None:
    """Refuse every variable."""


def variables(options: Options) -> None:
    """Every variable of every command, with its default and what it means."""
    print(every_variable())


COMMANDS: list[Command] = [known, variables]

if __name__ == "__main__":
    main(COMMANDS)
