"""A feature's version counts wherever its values are used."""

import shutil

import pytest

from tests.golden.commands import command, done, inside
from tests.golden.sounds import easy_clips
from tests.versions import newer_feature

OF_CACHE = "easy/features has rms by version 1, here 2: "
OF_RUN = "trained on rms by version 1, here 2: extract and train again"
AUDIO = "easy/bell/bell0-A.wav"


@pytest.fixture(scope="module")
def versions_folder(tmp_path_factory):
    """A cache of rms, a run on it with one finished fold, and a bundle of this run."""
    folder = tmp_path_factory.mktemp("versions") / "made"
    easy_clips(folder / "easy")
    with inside(folder):
        done("features DATASET=easy FEATURES='rms zcr' JOBS=1")
        done("train DATASET=easy FEATURES=rms MODEL=linear FOLDS=1")
        done("bundle RUN=last OUT=rms.pt")
    return folder


@pytest.fixture
def raised_version(versions_folder):
    """The folder of `versions_folder` as the current folder, after the version of rms
    was raised; tests only read it.
    """
    with inside(versions_folder), newer_feature("rms"):
        yield


@pytest.mark.parametrize("run", ["last", "rms.pt"])
def test_new_audio_is_not_answered_by_features_of_another_version(raised_version, run):
    assert OF_RUN in command(f"predict RUN={run} AUDIO={AUDIO}").err


def test_a_cache_of_another_version_is_refused_with_what_to_type(raised_version):
    answer = command("train DATASET=easy FEATURES=rms MODEL=linear FOLDS=2")
    assert answer.status == 2
    assert f"{OF_CACHE}run featurestack features DATASET=easy" in answer.err


def test_extracted_again_everything_is_of_the_new_version(raised_version, tmp_path):
    for name in ("data", "runs"):
        shutil.copytree(name, tmp_path / name)
    data, runs = f"DATA={tmp_path}/data", f"RUNS={tmp_path}/runs"
    done(f"features DATASET=easy FEATURES=rms JOBS=1 {data}")
    words = f"DATASET=easy FEATURES=rms MODEL=linear FOLDS=1 {data} {runs}"
    assert "this run is saved as rms-linear-" in done(f"train {words}").err
    done(f"predict RUN=last AUDIO={AUDIO} {data} {runs}")
