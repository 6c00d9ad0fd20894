"""Clips that are parts of recordings: their features equal those of files cut
beforehand.
"""

import numpy as np
import pytest
import soundfile

from featurestack.checks.dataset import check_dataset as check
from featurestack.features_cache.cache import Cache
from featurestack.pipeline import audio
from featurestack.pipeline.extract import extract
from featurestack.pipeline.extraction_plan import plan_extraction
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import csv, dataset, write
from tests.pipeline.extraction import contents
from tests.refusal import refused

RATE = 8_000
STARTS = [0.0, 0.5, 1.0, 2.25, 3.0]


@pytest.fixture
def folder(tmp_path):
    """Windows of three recordings in windows.csv, and the same samples as files in
    files.csv.
    """
    rng = np.random.default_rng(0)
    windows, files = "filename,start,end,label,group\n", "filename,label,group\n"
    for recording in range(3):
        path = tmp_path / f"r{recording}.flac"
        soundfile.write(path, 0.1 * rng.standard_normal(4 * RATE), RATE)
        y, _ = soundfile.read(path, dtype="float32")
        for number, start in enumerate(STARTS):
            label = "ab"[number % 2]
            part = tmp_path / f"r{recording}-{number}.wav"
            first = round(start * RATE)
            soundfile.write(part, y[first : first + RATE], RATE, "FLOAT")
            windows += f"{path.name},{start},{start + 1},{label},\n"
            files += f"{part.name},{label},r{recording}\n"
    csv(tmp_path / "windows.csv", windows)
    csv(tmp_path / "files.csv", files)
    return tmp_path


def options(folder, name="windows", **given):
    defaults = {"data": folder / "data", "features": "rms mel", "jobs": 1}
    kind = FeaturesCommand
    return kind(dataset=str(folder / f"{name}.csv"), **defaults | given)


def extracted(folder, name="windows", **given):
    """The cache that `features` makes."""
    chosen = options(folder, name, **given)
    assert not extract(plan_extraction(chosen), chosen).failures
    return Cache(chosen.data / name / "features")


def test_a_window_is_stored_as_the_same_samples_in_a_file_of_their_own(folder):
    windows = extracted(folder)
    files = extracted(folder, "files")
    ids = [f"r0@{start:g}" for start in STARTS]
    assert windows.clips["clip_id"].tolist()[:5] == ids
    assert windows.clips["group"].tolist() == files.clips["group"].tolist()
    assert windows.clips["end"].tolist() == [start + 1 for start in STARTS] * 3
    assert windows.duration == files.duration == 1.0
    assert (windows.filled == 1).all()
    for feature in ("rms", "mel"):
        by_window, by_file = contents(windows, feature), contents(files, feature)
        assert [*by_window.values()] == [*by_file.values()]
    (folder / "r1.flac").unlink()
    assert (extracted(folder).clips == windows.clips).all(axis=None)


def test_a_window_of_an_mp3_does_not_depend_on_those_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "MP3_PART", 4)
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * RATE)
    soundfile.write(tmp_path / "r.mp3", noise, RATE)
    following, jumping = (audio.Recording(tmp_path / "r.mp3") for _ in range(2))
    in_order = [following.window((start, start + 1)) for start in range(19)]
    for start in (5, 17, 9, 8, 0, 3, 12):
        assert (jumping.window((start, start + 1)) == in_order[start]).all()


def test_a_window_that_moves_is_computed_again_and_no_other(folder):
    extracted(folder)
    path = folder / "windows.csv"
    path.write_text(path.read_text().replace("r0.flac,3.0,4.0", "r0.flac,3.0,3.75"))
    assert extract(plan_extraction(options(folder)), options(folder)).clips == 1
    assert Cache(folder / "data" / "windows" / "features").filled[4] == 0.75


def test_spans_that_begin_together_have_ids_of_their_own_beside_whole_files(tmp_path):
    for name in ("x.wav", "y.wav"):
        write(tmp_path / name, seconds=2)
    rows = "filename,label,start,end\nx.wav,a,1,1.5\nx.wav,b,1,2\n"
    rows += "x.wav,a,0.1,0.2\ny.wav,b,,\n"
    table = dataset(csv(tmp_path / "t.csv", rows), tmp_path).table
    assert table["clip_id"].tolist() == ["x@1-1.5", "x@1-2", "x@0.1", "y"]
    assert table["group"].tolist() == ["x", "x", "x", "y"]
    for wrong, words in {
        "x.wav,a,1,1.5": r"rows 1 and 5 are one clip: x\.wav and x\.wav; remove one",
        "x.wav,a,2,1": (
            r"t\.csv, line 6: the clip lasts from '2' to '1'; expected a start and a"
            r" later end"
        ),
        "x.wav,a,,1": "line 6: the clip lasts from '' to '1'",
        "x.wav,a,0:01,2": "line 6: the clip lasts from '0:01' to '2'",
    }.items():
        with refused(words):
            dataset(csv(tmp_path / "t.csv", rows + wrong), tmp_path)


def test_check_finds_no_duplicates_among_windows_of_one_recording(folder, capsys):
    lines = (folder / "windows.csv").read_text()
    csv(folder / "windows.csv", lines + "r0.flac,0.25,1.25,a,\nr0.flac,0.75,1.75,b,")
    assert check(options(folder)) == 0
    shown = capsys.readouterr().out
    # a window's level is no artefact
    assert "same audio" not in shown and "artefacts" not in shown
