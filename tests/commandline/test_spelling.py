"""The spelling of commands in messages."""

import os

import pytest

from featurestack.commandline.options import DatasetOptions
from featurestack.commandline.spelling import MAKE, called_as, make_command
from featurestack.features_cache.cache import cache_of
from tests.golden.commands import ROOT
from tests.processes import python
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
    assert done.stdout == "featurestack data\n"


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
            'fs.fit(features="mel mfcc", epochs=3)',
        ),
        ("train", ["RETRAIN=1"], "fs.fit(retrain=True)"),
        ("runs", ["RUNS=old"], "make runs RUNS=old"),
        ("analysis", [], "fs.report()"),
    ],
)
def test_a_script_is_told_the_call_of_a_function(script, command, given, call):
    assert make_command(command, *given) == call


def test_a_message_of_a_script_has_calls(script, tmp_path):
    with refused(r'yet: run fs\.extract\(dataset="synth", data="'):
        cache_of(DatasetOptions(dataset="synth", data=tmp_path))
