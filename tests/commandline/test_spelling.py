"""The spelling of commands in messages."""

import os

import pytest

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline import rooms, spelling
from featurestack.commandline.options import DatasetOptions, fields, with_rooms
from featurestack.commandline.spelling import MAKE, CommandLine, called_as
from featurestack.features_cache.cache import cache_of
from featurestack.pipeline.options import FeaturesCommand
from featurestack.rooms.events.options import EventsCommand
from featurestack.rooms.importance.options import ImportanceOptions
from featurestack.train.options import RunOptions
from tests.golden.commands import ROOT
from tests.processes import forked, python
from tests.refusal import refused


def test_a_removed_working_folder_can_still_import_the_package(tmp_path):
    folder = tmp_path / "removed"
    folder.mkdir()
    script = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.chdir({str(folder)!r});"
        f" os.rmdir({str(folder)!r}); import featurestack;"
        " from featurestack.commandline.spelling import make_command;"
        " print(make_command('data'))"
    )
    done = python("-c", script, environment=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.stdout == "python -m featurestack data\n"


@pytest.fixture
def script():
    """Messages as in a script or notebook, which typed no command."""
    called_as("")
    yield
    called_as(MAKE)


@pytest.mark.parametrize(
    ("command", "given", "call"),
    [
        ("features", ["DATASET=my"], 'fs.extract(dataset="my")'),
        (
            "train",
            ["FEATURES=mel mfcc", "EPOCHS=3"],
            'fs.train(features="mel mfcc", epochs=3)',
        ),
        ("train run", ["RETRAIN=1"], "fs.train(retrain=True)"),
        ("analysis", [], "fs.report()"),
    ],
)
def test_a_script_is_told_the_call_of_a_function(script, command, given, call):
    assert str(CommandLine(command, tuple(given))) == call


def test_a_message_of_a_script_has_calls(script, tmp_path):
    with refused(r'yet: run fs\.extract\(dataset="synth", data="'):
        cache_of(DatasetOptions(dataset="synth", data=tmp_path))


def test_all_switches_of_the_functions_are_known():
    options = (
        EventsCommand,
        FeaturesCommand,
        RunOptions,
        ImportanceOptions,
        AnalysisOptions,
    )
    every = {
        name
        for kind in options
        for name, field in fields(with_rooms(kind)).items()
        if field.type in (bool, "bool")
    }
    assert every == spelling.FLAGS | rooms.switches()


@pytest.mark.parametrize("stage", spelling.STAGES)
def test_the_usage_line_of_a_stage_can_be_typed(stage):
    done = forked("-m", stage, "--help")
    assert done.returncode == 0, done.stderr
    usage = done.stdout.splitlines()[0]
    words = usage.split("python -m ")[1].split()
    assert words[0] == stage and words[1] in ("COMMAND", "[NAME=value")
