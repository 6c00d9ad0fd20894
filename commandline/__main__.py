"""`python -m commandline known --make …` checks variables; `… variables` lists them all."""

from dataclasses import dataclass

from commandline.commands import Command, every_variable, main
from commandline.options import Options


@dataclass(frozen=True, kw_only=True)
class NoOptions(Options):
    """Takes no options."""


def known(options: NoOptions) -> None:
    """Refuse every variable."""


def variables(options: NoOptions) -> None:
    """Every variable of every command, with its default and what it means."""
    print(every_variable())


COMMANDS: list[Command] = [known, variables]

if __name__ == "__main__":
    main(COMMANDS)
