"""The little cache, options of a run on it that takes a second, and runs that are made once."""

import shutil

import numpy as np
import pytest

from results.run_folder import RunFolder, write_predictions
from tests.train import sounds
from tests.train.little import clip_table, fill, little_options
from train import run


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("cached") / "little" / "features", clip_table())


@pytest.fixture
def options(cache_folder, tmp_path):
    return little_options(cache_folder, tmp_path / "runs")


@pytest.fixture(scope="session")
def trained(cache_folder, tmp_path_factory):
    """The run of `options`, to be read."""
    return run.execute(little_options(cache_folder, tmp_path_factory.mktemp("trained") / "runs"))


@pytest.fixture
def finished(trained, options):
    """The run of `options` as its own command finds it, to be changed."""
    path = options.runs / "little" / trained.name
    shutil.copytree(trained.path, path)
    return RunFolder(path)


@pytest.fixture(scope="session")
def sounding(tmp_path_factory):
    """A run on sounds of classes that are easy to separate, with their cache and their files beside it."""
    return sounds.train_run(tmp_path_factory.mktemp("sounding"))


@pytest.fixture
def unlike(sounding, tmp_path):
    """A copy of it whose first fold has other predictions than its network gives."""
    copy = RunFolder(shutil.copytree(sounding.path, tmp_path / "copy"))
    rows = copy.predictions(1)
    write_predictions(copy.fold(1), rows, np.full((len(rows), 3), 1 / 3, np.float32), copy.classes)
    return copy


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """A linear run on clips of which most are far shorter than the longest, likewise."""
    return sounds.train_run(tmp_path_factory.mktemp("short"), short=True, model="linear", padding="drop")
