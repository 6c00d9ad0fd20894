"""A cache that others own: what is done is read, nothing is written."""

import os

import numpy as np
import pytest
import soundfile

from featurestack.pipeline import extract
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE
from tests.processes import forked, no_override
from tests.refusal import refused


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    """A folder of sounds by class, and DATA with its features, in which nothing may be
    written; its folds were drawn.
    """
    folder = tmp_path_factory.mktemp("shared") / "birds"
    for name in ("owl", "robin", "wren"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).normal(0, 0.1, SAMPLE_RATE)
            soundfile.write(folder / name / f"{name}{number}.wav", noise, SAMPLE_RATE)
    data = folder.parent / "data"
    given = {"dataset": str(folder), "data": data, "jobs": 1}
    extract.extract_features(FeaturesCommand(**given, features="rms"))
    places = [data, *filter(os.path.isdir, data.rglob("*"))]
    for place in places:
        place.chmod(0o555)
    yield folder, data
    for place in places:
        place.chmod(0o755)


def state(folder):
    """{path: time} of all files and folders."""
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def command(name, folder, data, *words):
    """The finished process of a command, of a user without a right to write there."""
    words = name, f"DATASET={folder}", f"DATA={data}", *words
    return forked("-m", "featurestack", *words, before=no_override)


@pytest.mark.parametrize(
    ("name", "features", "said"),
    [
        ("data", [], "12 clips"),
        ("features", ["FEATURES=rms"], "0 of 12 feature maps to compute"),
        ("check", [], "12 clips"),
    ],
)
def test_commands_on_a_complete_dataset_need_no_right_to_write(
    birds, name, features, said
):
    folder, data = birds
    before = state(data)
    process = command(name, folder, data, *features)
    kept = f"the findings are not kept: {data / 'birds' / 'features'} may not be"
    assert said in process.stdout and "Error" not in process.stderr
    assert (kept in process.stderr) == (name == "check")
    assert state(data) == before


@pytest.mark.parametrize("name", ["features", "train"])
def test_what_may_not_be_written_is_one_sentence(birds, name):
    folder, data = birds
    words = ["FEATURES=rms", f"RUNS={data}", "MODEL=linear"]
    if name == "features":
        words = ["FEATURES=rms flatness", "JOBS=1"]
    process = command(name, folder, data, *words)
    last = process.stderr.strip().splitlines()[-1]
    assert process.returncode and str(data / "birds") in last
    assert ("DATA=" if name == "features" else "RUNS=") in last


def test_features_that_a_shared_cache_lacks_are_computed_beside_links(birds, tmp_path):
    folder, data = birds
    own = tmp_path / "birds" / "features"
    own.mkdir(parents=True)
    for file in (data / "birds" / "features").glob("*.h5"):
        (own / file.name).symlink_to(file)
    before = state(data)
    process = command("features", folder, tmp_path, "FEATURES=rms flatness", "JOBS=1")
    assert process.returncode == 0, process.stderr
    assert "12 of 24 feature maps to compute" in process.stdout
    words = [f"RUNS={tmp_path / 'runs'}", "FEATURES=rms+flatness", "MODEL=linear"]
    process = command("train", folder, tmp_path, *words)
    assert process.returncode == 0, process.stderr
    assert state(data) == before


def test_a_cache_as_dataset_is_only_read(birds):
    folder, data = birds
    before = state(data)
    given = {"dataset": str(data / "birds" / "features"), "data": data, "jobs": 1}
    assert extract.extract_features(FeaturesCommand(**given, features="rms")) == 0
    with refused(rf"only read.*DATASET={folder}"):
        extract.extract_features(FeaturesCommand(**given, features="rms flatness"))
    assert state(data) == before
