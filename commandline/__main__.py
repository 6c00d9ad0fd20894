"""`python -m commandline known --make …` checks variables; `… variables` lists them all."""

from dataclasses import dataclass

from commandline.catalogue import every_variable
from commandline.options import Command, main


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Takes variables of any command and uses none."""


def known(options: NoOptions) -> None:
    """Refuse a variable that no command has."""


def variables(options: NoOptions) -> None:
    """Every variable of every command, with its default and what it means."""
    print(every_variable())


COMMANDS: list[Command] = [known, variables]

if __name__ == "__main__":
    main(COMMANDS)
