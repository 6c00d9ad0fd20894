"""LOAD=: what a file of the user's own defines, every command and process knows."""

import json
from functools import partial

import pytest

from featurestack.commandline import registry
from tests.golden.sounds import easy_clips
from tests.processes import forked, python
from tests.refusal import refused

MINE = """
import featurestack as fs
import numpy as np
from beside import WIDTH


@fs.feature(units="")
def samples(clip, *, hop_length: int = 512):
    return np.full((1, 1 + len(clip.y) // hop_length), WIDTH, np.float32)


@fs.model("image")
def means(channels, classes, shape, *, width=4):
    from torch import nn
    layer = nn.Linear(channels, classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)
"""
LOAD = "LOAD=mine.py"
SHORT = ("FEATURES=samples+rms", "MODEL=means", "EPOCHS=1", "PRECISION=fp32")


def call(folder, *words, check=True):
    several = "JOBS=2" in words  # worker processes do not start in a fork of a test
    run = partial(python, check=False) if several else forked
    done = run("-m", "featurestack", *words, cwd=folder)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A folder with sounds, mine.py, and a run of what it defines."""
    folder = tmp_path_factory.mktemp("studio")
    easy_clips(folder / "easy")
    (folder / "mine.py").write_text(MINE)
    (folder / "beside.py").write_text("WIDTH = 8")
    data = "DATASET=easy"
    done = call(folder, "features", data, "FEATURES=samples rms", "JOBS=2", LOAD)
    assert f"check DATASET=easy {LOAD}" in done.stdout  # what is proposed works
    call(folder, "train", data, *SHORT, "FOLDS=1", LOAD)
    call(folder, "bundle", "RUN=last", "OUT=mine.pt", LOAD)
    return folder


def test_a_run_keeps_the_names_of_the_files_that_define_it(studio):
    for file in (studio / "runs" / "easy").glob("*/run.json"):
        kept = json.loads(file.read_text())
        assert kept["own_code"] == ["mine.py"] and LOAD not in kept["command"]


def test_a_run_of_an_own_model_is_fitted_again_to_all_clips(studio):
    call(studio, "bundle", "RUN=last", "OUT=whole.pt", "REFIT=1", LOAD)
    assert (studio / "whole.pt").exists()


@pytest.mark.parametrize("run", ["last", "mine.pt"])
def test_a_missing_definition_is_asked_for_by_the_name_of_its_file(run, studio):
    clip = next((studio / "easy").glob("*/*.wav"))
    words = ["predict", f"AUDIO={clip}", f"RUN={run}"]
    refusal = call(studio, *words, check=False)
    assert refusal.returncode == 2
    assert refusal.stderr.endswith(f"this run needs the model means: {LOAD}\n")
    assert "siren " in call(studio, *words, LOAD).stdout


def test_what_is_loaded_is_listed(studio):
    assert "samples " in call(studio, "show", LOAD).stdout


def test_a_file_that_cannot_be_run_is_one_sentence(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\nx / 0\n")
    with refused(r"LOAD=.*broken.py: ZeroDivisionError: .* \(broken.py, line 2\)"):
        registry.load_given([f"LOAD={broken}"])
    with refused("LOAD=nowhere.py: there is no such file"):
        registry.load_given(["--load", "nowhere.py"])
