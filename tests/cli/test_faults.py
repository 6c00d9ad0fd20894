"""An error that nobody foresaw is one line and a file with its traceback."""

import re
from pathlib import Path

import numpy as np
import pytest

import featurestack as fs
from featurestack.pipeline.features import FEATURES
from tests.golden.commands import done, inside
from tests.golden.sounds import easy_clips

TRAIN = "train DATASET=easy FEATURES=rms MODEL=linear"
# what fails -> the function, and the command that calls it
PLANTED = {
    "reading": ("h5py.File", TRAIN),
    "computing": ("featurestack.train.models.vectors.logistic_regression", TRAIN),
    "writing": ("featurestack.results.run_folder.write_predictions", TRAIN),
    "rendering": ("featurestack.analysis.page.render", "analysis DATASET=easy"),
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with inside(tmp_path_factory.mktemp("faults")) as folder:
        easy_clips(Path("easy"))
        done("features", DATASET="easy", FEATURES="rms zcr", JOBS=1)
        done("train", DATASET="easy", FEATURES="zcr", MODEL="linear")
        yield folder


def raising(*given, **named):
    raise ZeroDivisionError("planted")


def plant(monkeypatch, where):
    monkeypatch.setattr(where, raising)


def files():
    return {file: file.read_bytes() for file in Path().rglob("*.h5")}


@pytest.mark.parametrize("kind", PLANTED)
def test_it_is_one_line_and_a_file_with_the_details(kind, monkeypatch):
    where, words = PLANTED[kind]
    before = files()
    plant(monkeypatch, where)
    last = done(words, 1).err.splitlines()[-1]
    said = r"failed: ZeroDivisionError: planted.*; the details are in (.*)"
    details = Path(re.fullmatch(said, last)[1])
    assert "in raising" in details.read_text()
    details.unlink()
    assert files() == before


def test_a_script_gets_the_same_sentence(monkeypatch):
    plant(monkeypatch, "featurestack.train.models.vectors.logistic_regression")
    with pytest.raises(fs.Failed, match=r"planted.*are whole$") as failed:
        fs.fit(dataset="easy", features="rms", model="linear", quiet=True)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    with pytest.raises(fs.Failed, match=r"^TypeError: .*are whole$"):
        fs.tone("a")


def test_a_signal_ends_a_script_also_within_a_function(monkeypatch):
    def handler(*given):
        raise SystemExit(143)

    monkeypatch.setattr("featurestack.pipeline.clip_spectra.Clip", handler)
    with pytest.raises(SystemExit, match="143"):
        fs.tone(440)


def test_an_error_in_a_feature_of_ones_own_has_its_file_and_line(monkeypatch):
    monkeypatch.setitem(FEATURES, "broken", FEATURES["mel"])  # gone after the test
    del FEATURES["broken"]

    @fs.feature(units="")
    def broken(clip):
        return np.zeros(3).nothing

    line = broken.__code__.co_firstlineno + 2
    with pytest.raises(fs.Failed, match=rf"nothing' \(test_faults.py, line {line}\)"):
        fs.compute(fs.tone(440), "broken")
