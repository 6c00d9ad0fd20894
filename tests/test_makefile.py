"""The Makefile: values arrive as typed, unknown variables are refused, the help tells
the truth.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from featurestack.cli.words import COMMANDS, every_options
from tests.golden.commands import ROOT

NAMES = {name for options in every_options().values() for name in options}
VARIABLES = {"LOAD", *map(str.upper, NAMES)}
OWN = {"test", "setup", "docs", "lint", "help"}
pytestmark = pytest.mark.skipif(
    shutil.which("make") is None, reason="make is not installed"
)


def make(*words, folder=ROOT):
    command = ["make", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "value", ["mel+mfcc:1-19 chroma@a=b,c=d", "(.*)-[A-Z]", "it's 5$ ~ * \\d"]
)
def test_values_reach_the_module_as_typed_and_none_of_the_environment(
    value, monkeypatch
):
    monkeypatch.setenv("FOLDS", "nonsense")
    typed = shlex.split(make("-n", "train", f"FEATURES={value}").stdout)
    program = [sys.executable, "-m", "featurestack"]
    assert typed == [*program, "train", f"FEATURES={value}"]


def test_a_variable_of_a_command_is_none_of_the_makefiles_own():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not set(re.findall(r"^(\w+) *:?=", text, re.MULTILINE)) & VARIABLES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "DATASETT=x"], "variable 'DATASETT'; did you mean 'DATASET'?"),
        (["-n", "test", "DATASET=x"], "DATASET: make test takes no variable but ALL"),
        (["train", "NOTE=one\ntwo"], "line break, which make cannot hand on"),
        (
            ["train", "FEATURES=mel", "mfcc"],
            "unexpected: mfcc; an option is",
        ),
        (["answer", str(ROOT / "it's my"), "sounds"], f"unexpected: {ROOT}/it's"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_before_anything_runs(words, said):
    done = make(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_help_names_every_word_and_the_common_variables():
    shown = make().stdout
    words = re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE)
    assert {*words} == {*COMMANDS, *OWN} - {"help"}
    assert words.index("train") < words.index("analysis")
    for word in OWN - {"help"}:
        assert f" {make('help', word).stdout.strip()}\n" in shown
    variables = set(re.findall(r"^  ([A-Z]+)=", shown, re.MULTILINE))
    assert len(variables) >= 12 and variables <= VARIABLES
    assert "EPOCHS=" in make("help", "train").stdout


def test_all_help_lists_every_variable_once_the_common_ones_first():
    shown = make("help", "ALL=1").stdout
    listed = re.findall(r"^  ([A-Z_]+)=", shown, re.MULTILINE)
    assert sorted(listed) == sorted(VARIABLES)
    assert listed.index("DATASET") < listed.index("EPOCHS")


def test_a_command_after_make_is_typed_with_make(tmp_path):
    for label in ("hum", "hiss"):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "sounds" / label / "1.wav", np.zeros(800), 8000)
    done = make("data", f"DATASET={tmp_path / 'sounds'}", f"DATA={tmp_path}")
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("next: make "), done.stderr


def fake_python(path):
    """A program that notes how it is called, in `calls` beside it, and succeeds."""
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\necho "$@" >> "{path.parent}/calls"\n')
    path.chmod(0o755)
    return path


def test_setup_brings_an_environment_up_to_date_and_never_wipes_it(
    tmp_path, monkeypatch
):
    """A GPU build of torch, or another package of the user's, survives a change of the
    requirements.
    """
    for file in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path)
    beside = fake_python(tmp_path / "bin/python3").parent
    monkeypatch.setenv("PATH", f"{beside}{os.pathsep}{os.environ['PATH']}")
    own = fake_python(tmp_path / ".venv/bin/python")
    (tmp_path / ".venv/torch-of-the-user").touch()
    for _ in range(2):
        subprocess.run(["make", "setup"], cwd=tmp_path, capture_output=True, check=True)
        os.utime(tmp_path / "requirements.txt", (2e9, 2e9))
    assert (tmp_path / ".venv/torch-of-the-user").exists()
    calls = (own.parent / "calls").read_text()
    installed = re.findall(r"pip install.* -r requirements\.txt$", calls, re.MULTILINE)
    itself = re.findall(r"pip install.* --no-deps -e \.$", calls, re.MULTILINE)
    assert len(installed) == len(itself) == calls.count("pip install") / 2 == 2


def test_python_names_an_environment_that_is_used_and_no_other_is_made(tmp_path):
    # without requirements.txt, from which .venv is made
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = make("-n", "setup", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{sys.executable} -m pip install")


def test_the_workflow_tries_the_pythons_that_the_package_names():
    package = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    matrix, _ = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"Python :: (3\.\d+)", package) == re.findall(r"[\d.]+", matrix)
