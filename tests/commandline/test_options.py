"""Options as the words that give them, and the commands that users are told to type."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from commandline import DatasetOptions, RunsOptions, make_command, parse, words


@dataclass(frozen=True, kw_only=True)
class Options(DatasetOptions, RunsOptions):
    folds: tuple[int, ...] = ()
    note: str = ""


GIVEN = Options(folds=(1, 3), note="it's new", data=Path("x y"), dataset="my sounds")


def test_the_words_of_options_give_them_again() -> None:
    assert words(Options()) == []
    assert sorted(words(GIVEN)) == ["DATA=x y", "DATASET=my sounds", "FOLDS=1 3", "NOTE=it's new"]
    assert parse(Options, words(GIVEN)) == GIVEN


def test_some_of_them_come_in_the_order_asked_for() -> None:
    assert words(GIVEN, ("note", "runs", "data")) == ["NOTE=it's new", "DATA=x y"]


def test_a_command_survives_a_shell() -> None:
    assert shlex.split(make_command("train", *words(GIVEN))) == ["make", "train", *words(GIVEN)]
    assert make_command("train", "DATASET=esc50") == "make train DATASET=esc50"
