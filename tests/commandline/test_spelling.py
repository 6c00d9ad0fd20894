"""The spelling of commands in messages."""

import os

import pytest

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline import spelling
from featurestack.commandline.options import fields
from featurestack.commandline.spelling import make_command, spelled
from featurestack.importance.options import ImportanceOptions
from featurestack.pipeline.options import FeaturesCommand, WindowsCommand
from featurestack.train.options import RunOptions
from tests.golden.commands import ROOT
from tests.processes import python


def test_a_removed_working_folder_can_still_import_the_package(tmp_path):
    folder = tmp_path / "removed"
    folder.mkdir()
    script = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.chdir({str(folder)!r});"
        f" os.rmdir({str(folder)!r}); import featurestack;"
        " from featurestack.commandline.spelling import make_command;"
        " print(make_command('sweep'))"
    )
    done = python("-c", script, environment=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.stdout == "python -m featurestack sweep\n"


@pytest.fixture
def script(monkeypatch):
    """Messages as in a script or notebook, which typed no command."""
    monkeypatch.setattr(spelling, "typed", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EPOCHS=x: expected a number", 'epochs="x": expected a number'),
        ("EPOCHS=5", "epochs=5"),
        ("or add WAIT=1", "or add wait=True"),
        ("GROUP='(.*)-[A-Z]' fits", 'group="(.*)-[A-Z]" fits'),
        ("set DURATION= or SAMPLE_RATE=", "set duration= or sample_rate="),
        ("make features DATASET=my", 'fs.extract(dataset="my")'),
        (
            "run make train 'FEATURES=mel mfcc' EPOCHS=3, then",
            'run fs.train(features="mel mfcc", epochs=3), then',
        ),
        ("python -m analysis", "fs.report()"),
        ("set PYTHONPATH=.", "set PYTHONPATH=."),
    ],
)
def test_a_script_is_told_what_to_write_in_python(script, text, expected):
    assert spelled(text) == expected


def test_a_command_without_a_function_stays_one(script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = make_command("sweep", "FEATURES=mel mfcc", "WAIT=1")
    assert command == "python -m featurestack sweep 'FEATURES=mel mfcc' WAIT=1"
    assert spelled(command) == command


def test_a_next_command_is_a_call(script):
    call = make_command("train", "FEATURES=mel+mfcc", "RETRAIN=1")
    assert call == 'fs.train(features="mel+mfcc", retrain=True)'


def test_all_switches_of_the_functions_are_known():
    options = (
        WindowsCommand,
        FeaturesCommand,
        RunOptions,
        ImportanceOptions,
        AnalysisOptions,
    )
    every = {
        name
        for kind in options
        for name, field in fields(kind).items()
        if field.type in (bool, "bool")
    }
    assert every == spelling.FLAGS
