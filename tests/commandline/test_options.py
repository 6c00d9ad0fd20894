"""Options from flags, words and make's variables; one message for each mistake."""

import errno
import os
import shlex
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from tyro.conf import Positional

import pipeline.__main__
import train.__main__
from commandline.catalogue import commands, known_variables
from commandline.options import (
    Aliases,
    Bounds,
    DatasetOptions,
    RunsOptions,
    annotations,
    extra_of,
    last_given,
    main,
    make_command,
    options_of,
    parse,
    split_make,
    words,
)
from commandline.registry import RequestError
from train.options import RunOptions


@dataclass(frozen=True, kw_only=True)
class SomeOptions(DatasetOptions, RunsOptions):
    folds: tuple[int, ...] = ()
    note: str = ""


GIVEN = SomeOptions(folds=(1, 3), note="it's new", data=Path("x y"), dataset="my sounds")


def test_the_words_of_options_give_them_again() -> None:
    assert words(SomeOptions()) == []
    assert sorted(words(GIVEN)) == ["DATA=x y", "DATASET=my sounds", "FOLDS=1 3", "NOTE=it's new"]
    assert parse(SomeOptions, words(GIVEN)) == GIVEN


def test_some_of_them_come_in_the_order_asked_for() -> None:
    assert words(GIVEN, ("note", "runs", "data")) == ["NOTE=it's new", "DATA=x y"]


def test_a_command_survives_a_shell() -> None:
    assert shlex.split(make_command("train", *words(GIVEN))) == ["make", "train", *words(GIVEN)]
    assert make_command("train", "DATASET=esc50") == "make train DATASET=esc50"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a command that only these tests have."""

    features: str = "mel"
    """what to train on"""
    folds: tuple[int, ...] = ()
    """which folds"""
    group: str | None = None
    """a pattern"""
    val: Literal["none", "next"] = "none"
    """validation"""
    wait: bool = False
    """wait"""
    rate: float = 0.5
    """a number"""
    overwrite: Annotated[bool, Aliases("again", "redo_all")] = False
    """under another name until now"""
    seed: Annotated[tuple[int, ...], Aliases("seeds"), Bounds(0, 2**32 - 1)] = (0,)
    """several, each within bounds"""
    epochs: Annotated[int | None, Bounds(least=1)] = None
    """at least one, or not given"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One positional option."""

    feature: Positional[str | None] = None
    """whose card"""


def test_three_spellings_mean_the_same() -> None:
    expected = Options(features="mel+mfcc:1-19 chroma", folds=(1, 3), wait=True, rate=0.1)
    flags = ["--features", "mel+mfcc:1-19 chroma", "--folds", "1", "3", "--wait", "--rate", "0.1"]
    words = ["FEATURES=mel+mfcc:1-19 chroma", "FOLDS=1 3", "WAIT=1", "RATE=0.1"]
    blob = r"FEATURES=mel+mfcc:1-19\ chroma FOLDS=1\ 3 ARGS=--wait\ --rate\ 0.1"
    assert parse(Options, flags) == parse(Options, words) == parse(Options, ["--make", blob]) == expected


@pytest.mark.parametrize("value", ["(.*)-[A-Z]$", "a b\\c", "mel@n_mels=64,fmin=20", "-x", "A=b", "it's 5 ~"])
def test_odd_characters_survive(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(" ", "\\ ").replace("$", "$$")
    assert parse(Options, ["--make", f"GROUP={escaped}"]).group == value
    assert parse(Options, [f"GROUP={value}"]).group == value


def test_a_word_after_a_flag_is_its_value() -> None:
    assert parse(Options, ["--group", "A=b", "RATE=2"]) == Options(group="A=b", rate=2.0)


def test_positional_by_word_and_by_variable() -> None:
    assert parse(Card, ["mel"]) == parse(Card, ["FEATURE=mel"]) == Card(feature="mel")


def test_split_make_keeps_escaped_blanks() -> None:
    assert split_make(r"NOTE=a\ b  X=c\\d Y=$$5") == ["NOTE=a b", r"X=c\d", "Y=$5"]


@pytest.mark.parametrize(
    "words",
    [
        ["OVERWRITE=1", "SEED=1 2"],
        ["AGAIN=1", "SEEDS=1 2"],
        ["REDO_ALL=yes", "--seeds", "1", "2"],
        ["--again", "--seed", "1", "2"],
        ["--redo-all", "--make", r"SEEDS=1\ 2"],
    ],
)
def test_a_former_name_is_read_like_the_new_one(words: list[str]) -> None:
    assert parse(Options, words) == Options(overwrite=True, seed=(1, 2))


def test_a_former_name_is_listed_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Options, ["--help"])
    assert "--overwrite" in (shown := capsys.readouterr().out)
    assert "again" not in shown and "seeds" not in shown
    for mistyped in ("--agai", "AGAI=1"):
        with pytest.raises(RequestError) as error:
            parse(Options, [mistyped])
        assert "again" not in str(error.value).lower()


def test_every_former_name_belongs_to_a_listed_option() -> None:
    variables = known_variables()
    assert all(variables[name] == name for name in variables.values())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("EPOCHS=0", "EPOCHS=0: expected at least 1"),
        ("EPOCHS=1000000000000000", "EPOCHS=1000000000000000: expected 1 to 1e+12"),
        ("SEED=3 -1", "SEED=-1: expected 0 to 4294967295"),
        ("RATE=inf", "RATE=inf: expected a finite number"),
        ("RATE=nan", "RATE=nan: expected a finite number"),
    ],
)
def test_a_number_out_of_bounds_is_refused(word: str, expected: str) -> None:
    with pytest.raises(RequestError) as error:
        parse(Options, [word])
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--featurs", "mel"], "unknown option '--featurs'; did you mean '--features'?"),
        (["FEATURS=mel"], "unknown variable 'FEATURS'; did you mean 'FEATURES'?"),
        (["--rate", "fast"], "Error parsing --rate: could not convert string to float: 'fast'"),
        (["VAL=nxt"], "invalid choice 'nxt' for argument '--val'. Expected one of ('none', 'next')."),
        (["WAIT=perhaps"], "WAIT=perhaps: expected 1 or 0"),
        (["stray"], "unexpected: stray; an option is NAME=value or --name value"),
        (["RATE=fast"], "RATE=fast: expected a number"),
        (["EPOCHS=0 1"], "EPOCHS=0 1: expected a whole number; only a sweep takes several"),
        (["VAL=none next"], "VAL=none next: expected one of none, next; only a sweep takes several"),
    ],
)
def test_a_mistake_gets_one_plain_line(words: list[str], message: str) -> None:
    with pytest.raises(RequestError) as error:
        parse(Options, words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "│" not in str(error.value)


def test_a_variable_of_other_commands_is_named_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(Options, ["DATASET=synth"], variables_elsewhere=known_variables) == Options()
    assert capsys.readouterr().err == "DATASET does not apply here and is ignored\n"


@pytest.mark.parametrize(
    ("module", "words", "meant"),
    [
        (train.__main__, ["sweep", "FEATURE=mel"], "FEATURES"),
        (pipeline.__main__, ["features", "FEATURE=mel"], "FEATURES"),
        (pipeline.__main__, ["list", "FEATURES=mel"], "FEATURE"),
    ],
)
def test_the_singular_of_an_option_is_not_ignored_nor_its_plural(
    module: Any, words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(module.COMMANDS, words)
    variable = words[1].partition("=")[0]
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {variable} does not apply here; did you mean '{meant}'?\n"


@pytest.mark.parametrize("word", ["RUN=one", "MODELS=cnn4"])  # RUNS is a folder; a sweep's former name
def test_what_several_targets_are_handed_is_ignored_where_it_does_not_apply(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(RunOptions, [word], variables_elsewhere=known_variables) == RunOptions()
    assert capsys.readouterr().err == f"{word.partition('=')[0]} does not apply here and is ignored\n"


def test_main_exits_with_the_status_and_prints_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fine(options: Options) -> int:
        """Nothing to do."""
        return 1 if options.wait else 0

    def wrong(options: Options) -> None:
        """Always refused."""
        raise RequestError("given a, expected b")

    for argv, status in (["fine"], 0), (["fine", "--wait"], 1), (["wrong"], 2), (["fin"], 2), ([], 2):
        with pytest.raises(SystemExit) as stop:
            main([fine, wrong], argv)
        assert stop.value.code == status
    output = capsys.readouterr()
    assert "error: given a, expected b\n" in output.err
    assert "error: unknown command 'fin'; did you mean 'fine'? Known: fine, wrong\n" in output.err
    assert "fine   Nothing to do." in output.out


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (errno.ENOSPC, 1, "error: page.html: No space left on device; what was there before is kept\n"),
        (errno.ENOTDIR, 2, "error: page.html: Not a directory\n"),
    ],
)
def test_a_full_disk_and_a_wrong_place_are_one_sentence(
    capsys: pytest.CaptureFixture[str], number: int, status: int, said: str
) -> None:
    def writes(options: Options) -> None:
        """Fails."""
        raise OSError(number, os.strerror(number), "page.html")

    with pytest.raises(SystemExit) as stop:
        main([writes], [])
    assert (stop.value.code, capsys.readouterr().err) == (status, said)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (["RECIPE=one"], "one"),
        (["--recipe", "one", "LR=2"], "one"),
        (["--recipe=one", "RECIPE=two"], "two"),
        (["--make", "LR=2 RECIPE=one"], "one"),
        (["LR=2", "NOTE=recipe"], ""),
        (["--note", "RECIPE=one"], ""),  # a value, to `parse` too
        (["--overwrite", "RECIPE=one"], "one"),
        (["--recipe", "RECIPE=one", "LR=2"], "RECIPE=one"),
    ],
)
def test_the_last_value_given_is_found_without_parsing_the_others(given: list[str], value: str) -> None:
    assert last_given(RunOptions, given, "recipe") == value


def test_args_that_no_shell_could_read_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = train.__main__.with_recipe(["run", 'ARGS=it"s'])
    with pytest.raises(SystemExit) as stop:
        main(train.__main__.COMMANDS, words)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said == 'error: ARGS=it"s: expected words as a shell reads them (no closing quotation)\n'


def test_a_name_that_is_not_utf8_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def writes(options: Options) -> None:
        """Writes the name of a folder into a file."""
        "/home/jos\udce9/sounds".encode()

    with pytest.raises(SystemExit) as stop:
        main([writes], [])
    assert stop.value.code == 2
    said = r"error: '/home/jos\udce9/sounds' is not UTF-8: rename this file or folder"
    assert capsys.readouterr().err == said + "\n"


def test_every_number_of_every_command_is_bounded_where_it_is_defined() -> None:
    unbounded = set()
    for words_, function in commands():
        options = options_of(function)
        for name, annotation in annotations(options).items():
            numbers = {int, float} & {annotation, *_parts(annotation)}
            if numbers and extra_of(annotation, Bounds) is None and not words_.startswith("bench"):
                unbounded.add(name)
    assert unbounded == {"folds"}  # those of the dataset, which each command checks


def _parts(annotation: Any) -> set[Any]:
    """The types in a union, a tuple or Annotated."""
    inner = set(typing.get_args(annotation))
    return inner.union(*map(_parts, inner)) if inner else set()


@pytest.mark.parametrize(
    ("module", "command", "word"),
    [
        ("pipeline", "list", "SAMPLE_RATE=-1"),
        ("pipeline", "list", "DURATION=nan"),
        ("pipeline", "plan", "DURATION=1e-320"),
        ("pipeline", "plan", "COPIES=-1"),
        ("pipeline", "features", "JOBS=0"),
        ("train", "run", "LR=inf"),
        ("train", "run", "EPOCHS=1" + 23 * "0"),
        ("train", "list", "CHANNELS=-1"),
        ("train", "list", "GRID=99999999x99999999"),
        ("train", "listen", "HOP=nan"),
        ("train", "predict", "TOP=-1"),
        ("train", "explain", "REPEATS=0"),
    ],
)
def test_an_absurd_number_is_one_sentence(
    module: str, command: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"pipeline": pipeline.__main__, "train": train.__main__}[module].COMMANDS
    with pytest.raises(SystemExit) as stop:
        main(known, [command, word])
    said = capsys.readouterr()
    assert stop.value.code == 2 and said.out == ""
    assert said.err.startswith(f"error: {word.partition('=')[0]}=") and said.err.count("\n") == 1


def test_a_word_of_another_program_gets_ours():
    @dataclass(frozen=True, kw_only=True)
    class Noted:
        """Options."""

        note: str = ""
        """a sentence"""

    with pytest.raises(RequestError, match="unknown variable 'COMMENT'; did you mean 'NOTE'"):
        parse(Noted, ["COMMENT=hello"])
