"""The little cache, options of a short run on it, and runs that are made once."""

import shutil

import pytest

from featurestack.results.run_folder import RunFolder
from featurestack.train import run
from tests.train import sounds
from tests.train.little import change, clip_table, fill, fill_with_tags, little_options


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("cached") / "little" / "features", clip_table())


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """A cache of clips with several labels or none."""
    return fill_with_tags(tmp_path_factory.mktemp("cached") / "mixed" / "features")


@pytest.fixture
def options(cache_folder, tmp_path):
    return little_options(cache_folder, tmp_path / "runs")


@pytest.fixture(scope="session")
def trained(cache_folder, tmp_path_factory):
    """The run of `options`; tests only read it."""
    return run.execute(
        little_options(cache_folder, tmp_path_factory.mktemp("trained") / "runs")
    )


@pytest.fixture
def finished(trained, options):
    """A copy of the run of `options` at its own path, which tests may change."""
    path = options.runs / "little" / trained.name
    shutil.copytree(trained.path, path)
    return RunFolder(path)


@pytest.fixture(scope="session")
def sounding(tmp_path_factory):
    """A run on sounds that are easy to separate, beside their cache and their files."""
    return sounds.train_run(tmp_path_factory.mktemp("sounding"))


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """A linear run on clips that are mostly far shorter than the longest, beside their
    cache and files.
    """
    return sounds.train_run(
        tmp_path_factory.mktemp("short"), short=True, model="linear", padding="drop"
    )


@pytest.fixture
def changed(tmp_path):
    """Options of a linear run that was trained on 48 clips; the cache now has 39 of
    them.
    """
    folder = fill(tmp_path / "little" / "features", clip_table())
    options = change(little_options(folder, tmp_path / "runs"), model="linear")
    run.execute(options)
    shutil.rmtree(folder)
    fill(
        folder,
        clip_table()[
            lambda table: (
                ~table["clip_id"].str.endswith("-3") | (table["label"] == "cat")
            )
        ],
    )
    return options
