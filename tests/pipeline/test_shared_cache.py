"""A cache that others own: what is done is read, nothing is written."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from featurestack.pipeline import extract
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE
from tests.pipeline.extraction import cache, run
from tests.processes import forked, no_override
from tests.refusal import refused


def state(folder):
    """{path: time} of all files and folders."""
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.fixture
def data(sounds):
    """DATA with a complete cache whose lock files are gone."""
    run(sounds)
    folder = cache(sounds).folder
    shutil.rmtree(folder / "locks")
    return folder.parents[1]


@pytest.fixture
def not_writable(data):
    """The folder DATA, in which nothing may be written until the test has ended."""
    folders = [data, *filter(os.path.isdir, data.rglob("*"))]
    for folder in folders:
        folder.chmod(0o555)
    yield data
    for folder in folders:
        folder.chmod(0o755)


def features(sounds, data, names):
    """The finished process of `features`, of a user without a right to write."""
    where = [f"DATASET={sounds.csv}", f"DATA={data}", f"FEATURES={names}", "JOBS=1"]
    return command("features", *where, "DURATION=1", f"SAMPLE_RATE={SAMPLE_RATE}")


def command(*words):
    """The finished process of a command, of a user without a right to write."""
    return forked("-m", "featurestack", *words, before=no_override)


def test_a_user_who_may_not_write_finds_everything_done(sounds, not_writable):
    process = features(sounds, not_writable, "rms zcr")
    assert process.returncode == 0, process.stderr
    assert "0 of 16 feature maps to compute" in process.stdout
    # no findings of `check` could be kept there
    assert "next: " in process.stdout and "check" not in process.stdout


def test_what_may_not_be_written_is_one_sentence(sounds, not_writable):
    process = features(sounds, not_writable, "rms flatness")
    assert process.returncode == 2
    (line,) = process.stderr.strip().splitlines()
    assert str(cache(sounds).folder) in line and "DATA=" in line


def test_features_that_a_shared_cache_lacks_are_computed_beside_links(
    sounds, not_writable, tmp_path
):
    own = tmp_path / "mine" / "sounds" / "features"
    own.mkdir(parents=True)
    for file in cache(sounds).folder.glob("*.h5"):
        (own / file.name).symlink_to(file)
    before = state(not_writable)
    process = features(sounds, tmp_path / "mine", "rms flatness")
    assert process.returncode == 0, process.stderr
    assert "8 of 16 feature maps to compute" in process.stdout
    where = [f"DATASET={sounds.csv}", f"DATA={tmp_path / 'mine'}"]
    process = command(
        *("train", *where, f"RUNS={tmp_path / 'runs'}"),
        *("FEATURES=rms+flatness", "MODEL=linear"),
    )
    assert process.returncode == 0, process.stderr
    assert state(not_writable) == before


@pytest.fixture
def classes(tmp_path):
    """A folder of sounds by class, and DATA with its features, in which nothing may be
    written; its folds were drawn.
    """
    folder = tmp_path / "birds"
    for name in ("owl", "robin", "wren"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).normal(0, 0.1, SAMPLE_RATE)
            soundfile.write(folder / name / f"{name}{number}.wav", noise, SAMPLE_RATE)
    data = tmp_path / "data"
    given = {"dataset": str(folder), "data": data, "jobs": 1}
    extract.extract_features(FeaturesCommand(**given, features="rms"))
    places = [data, *filter(os.path.isdir, data.rglob("*"))]
    for place in places:
        place.chmod(0o555)
    yield folder, data
    for place in places:
        place.chmod(0o755)


@pytest.mark.parametrize("name", ["data", "features", "check"])
def test_commands_on_a_complete_dataset_need_no_right_to_write(classes, name):
    folder, data = classes
    before = state(data)
    features = ["FEATURES=rms"] if name == "features" else []
    process = command(
        *(name, f"DATASET={folder}", f"DATA={data}", *features),
    )
    kept = f"the findings are not kept: {data / 'birds' / 'features'} may not be"
    assert "Error" not in process.stderr
    assert (kept in process.stderr) == (name == "check")
    assert state(data) == before


def test_runs_that_may_not_be_written_are_one_sentence(classes, tmp_path):
    folder, data = classes
    where = [f"DATASET={folder}", f"DATA={data}", f"RUNS={data}"]
    words = *where, "FEATURES=rms", "MODEL=linear"
    process = command("train", *words)
    assert process.returncode == 2
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {data / 'birds'}") and "RUNS=" in last
    process = command("sweep", *words)
    assert f"{data / 'birds' / 'rms-linear'} may not be written: RUNS=" in (
        process.stderr
    )


def test_a_cache_as_dataset_is_only_read(sounds, data):
    before = state(data)
    given = {"dataset": str(cache(sounds).folder), "jobs": 1}
    assert extract.extract_features(FeaturesCommand(**given, features="rms zcr")) == 0
    with refused(rf"only read.*DATASET={sounds.csv}"):
        extract.extract_features(
            FeaturesCommand(**given, data=data, features="rms flatness")
        )
    assert state(data) == before
