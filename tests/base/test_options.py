"""Options from flags, words and make's variables; one message for each mistake; exit
statuses.
"""

import errno
import math
import os
import re
import shlex
import subprocess
import sys
import typing
from pathlib import Path
from typing import Literal

import pytest

from featurestack.base.errors import most_alike
from featurestack.base.options import (
    LARGEST,
    SEED_BOUNDS,
    Auto,
    DatasetOptions,
    kind_of,
    no_effect,
    option,
    option_words,
)
from featurestack.base.registry import load_given
from featurestack.base.shell import make_command
from featurestack.cli.commands import main
from featurestack.cli.parser import options_from, parse
from featurestack.cli.words import every_options, help_on
from tests.cases import cases
from tests.golden.commands import ROOT
from tests.processes import python
from tests.refusal import refused


class Some(DatasetOptions):
    """Options of a command that only these tests have."""

    features: str = option("mel", "what to train on")
    folds: tuple[int, ...] = option((), "which folds", least=1)
    group: str | None = option(None, "a pattern")
    val: Literal["none", "next"] = option("none", "validation")
    wait: bool = option(False, "wait")
    rate: float = option(0.5, "a number")
    seed: int = option(0, "within bounds", **SEED_BOUNDS)
    epochs: int | Auto = option("auto", "at least one, or by the case", least=1)
    run: str = option("last", "which run")
    frame: int | None = option(None, "at least one, or not given", least=1)


class Listed(DatasetOptions):
    """An option that has several values."""

    files: tuple[Path, ...] = option((), "files")


EXPECTED = Some(features="mel+mfcc:1-19 chroma", folds=(1, 3), wait=True, rate=0.1)


@pytest.mark.parametrize(
    "given",
    [
        "--features 'mel+mfcc:1-19 chroma' --folds 1 3 --wait --rate=0.1",
        "'FEATURES=mel+mfcc:1-19 chroma' FOLDS=1,3 WAIT=yes RATE=2 RATE=0.1",
        shlex.join(option_words(EXPECTED)),
    ],
)
def test_spellings_mean_the_same_and_the_last_counts(given):
    given = shlex.split(given)
    assert parse(Some, given) == EXPECTED
    assert shlex.split(make_command("train", *given)) == ["make", "train", *given]


def test_no_option_is_without_effect_if_none_is_named():
    assert no_effect(DatasetOptions(name="a"), [], "b") == ""


@pytest.mark.parametrize(
    "value", ["(.*)-[A-Z]$", "a b\\c", "mel@n_mels=64,fmin=20", "-x", "A=b", "it's 5 ~"]
)
def test_odd_characters_survive(value):
    for given in (f"GROUP={value}", f"--group={value}"):
        assert parse(Some, [given]).group == value
    assert options_from(Some, {"group": value}).group == value


@cases("given", "expected")
def test_a_mistake_is_one_line_with_what_was_expected(given, expected):
    words = given.split() if given.endswith("+") else [given]
    with refused(expected):
        parse(Some, words)


def test_a_folder_of_results_is_ignored_by_a_command_without_it():
    assert parse(DatasetOptions, ["REPORTS=y", "RUNS=r"]) == DatasetOptions()


@pytest.mark.parametrize(
    "paths", [("a b",), ("a b", "c"), ("it's", "d e"), ("mel.csv",), ()]
)
def test_the_items_of_a_list_stay_whole(paths):
    assert options_from(Listed, {"files": [*paths]}).files == tuple(map(Path, paths))


def test_options_made_in_python_are_checked_alike():
    with refused("RATE=inf: expected at most 1e"):
        Some(rate=math.inf)


def fine(options: Some):
    """Do nothing."""
    return 1 if options.wait else 0


def fails(options: Some):
    """Raise the error that the option names."""
    if options.features == "nameless":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if options.features == "memory":
        raise MemoryError("Unable to allocate 7.45 GiB")
    number = int(options.features)
    raise OSError(number, os.strerror(number), "page.html")


@pytest.mark.parametrize(
    ("function", "word", "status", "said"),
    [
        (fine, "--wait", 1, ""),
        (fails, f"FEATURES={errno.ENOSPC}", 1, "page.html: No space left on device"),
        (fails, f"FEATURES={errno.ENOTDIR}", 2, "page.html: Not a directory"),
        (fails, f"FEATURES={errno.EMFILE}", 1, "open files: raise the limit of this"),
        (fails, "FEATURES=nameless", 1, "error: No space left on device\n"),
        (fails, "FEATURES=memory", 1, "Unable to allocate 7.45 GiB"),
        (
            fine,
            "FEATURE=x",
            2,
            "'FEATURE'; did you mean 'FEATURES'? Known: FEATURES",
        ),
        (None, "trian", 2, "unknown command 'trian'; did you mean 'train'?"),
    ],
)
def test_a_command_exits_with_its_status_and_prints_one_error(
    function, word, status, said, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["featurestack", word])
    with pytest.raises(SystemExit) as stop:
        main(function)
    assert stop.value.code == status and said in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / ".venv").is_dir(), reason="make has not set it up")
def test_a_python_without_the_libraries_is_told_which_one_has_them():
    outside = [os.path.realpath(sys.executable), "-S", "-m", "featurestack", "check"]
    how = {"cwd": ROOT, "env": {"HOME": "/"}, "capture_output": True, "text": True}
    done = subprocess.run(outside, **how)
    assert done.returncode == 2
    assert done.stderr.startswith("error: this Python lacks ")
    assert ".venv/bin/activate" in done.stderr


def test_native_windows_is_refused_before_a_module_that_needs_posix_is_imported():
    script = (
        "import sys; from featurestack.cli.commands import main\n"
        "sys.modules['fcntl'] = None; sys.platform = 'win32';"
        " sys.argv = ['featurestack', 'features']; main()"
    )
    done = python("-c", script, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: featurestack needs POSIX locks: on Windows")


def test_every_number_of_every_command_has_bounds_and_every_option_a_meaning():
    for name, options in every_options().items():
        for field, declared in options.items():
            assert declared.metadata["meaning"], f"{name}: {field}"
            kind = kind_of(declared)[0]
            # each command checks them against the dataset
            if kind in (int, float) and field != "folds":
                bounds = declared.metadata["bounds"]
                assert bounds != (-LARGEST, LARGEST), f"{name}: {field}"
            known = (str, int, float, bool, Path)
            assert kind in known or typing.get_origin(kind) is Literal


def test_an_empty_value_is_no_default_and_a_home_is_the_users(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    places = parse(DatasetOptions, ["DATA=~/sounds", "NAME="])
    assert places.data == Path("/home/anna/sounds")
    with refused("^DATA= is empty, .*: give a value, or leave it out"):
        parse(DatasetOptions, ["DATA="])
    with refused("LOAD= is empty"):
        load_given(["train", "LOAD="])


def test_help_has_every_option_of_a_command_once_the_usual_ones_first():
    for word, options in every_options().items():
        shown = re.findall(r"^  ([A-Z_]+)=$", help_on([word]), re.MULTILINE)
        assert sorted(shown) == sorted([*map(str.upper, options), "LOAD"]), word
    assert help_on(["train"]).index("FEATURES=") < help_on(["train"]).index("BATCH=")
    with refused("unknown command 'feature'; did you mean 'features'"):
        help_on(["feature"])


def test_a_path_without_its_option_gets_it(tmp_path):
    (tmp_path / "my yard").mkdir()
    place = str(tmp_path / "my yard")
    with refused(f"unexpected: {place}; give it as DATASET='{place}'"):
        parse(DatasetOptions, [place])


def test_the_nearest_names_come_first():
    names = ["answer", "demo", "listen", "runs", "train", "trains", *"abcdefgh"]
    assert most_alike("trian", names).startswith("train, ")
