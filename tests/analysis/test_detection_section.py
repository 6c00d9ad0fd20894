"""Recordings and label tracks, windows, a run and its report: detections of the tested folds, scored."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from analysis.jobs import jobs
from analysis.options import AnalysisOptions
from analysis.report import build_report
from pipeline.datasets import windows
from pipeline.extract import run as extract
from pipeline.options import FeaturesCommand, WindowsCommand
from results import run_folder
from results.config import Calibration
from results.scores import scaled
from results.tags import fit_thresholds
from tests.refusal import refused
from tests.train.sounds import RATE, sound
from train import run
from train.options import PredictOptions, RunOptions
from train.predict import predict_audio

SILENCE = np.zeros(RATE, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six recordings, a hiss from 1 to 3 s, a tone from 5 to 6.5 s; a dataset of windows, and a run."""
    root = tmp_path_factory.mktemp("farm")
    (root / "audio").mkdir()
    (root / "tables").mkdir()
    for take in range(6):
        parts = SILENCE, sound("hiss", take, 2), SILENCE, SILENCE, sound("tone", take, 1.5), SILENCE, SILENCE
        soundfile.write(
            root / "audio" / f"{take}.wav", np.concatenate(parts)[: 8 * RATE], RATE, subtype="FLOAT"
        )
        (root / "tables" / f"{take}.txt").write_text("1\t3\thiss\n5\t6.5\ttone\n")
    given = {"data": root / "data", "audio": root / "audio", "tables": root / "tables", "name": "farm"}
    assert windows.run(WindowsCommand(**given, length=1, hop=0.5)) == 0
    dataset = {"dataset": str(root / "data" / "farm" / "farm.csv"), "data": root / "data"}
    assert not extract(FeaturesCommand(**dataset, features="mel", jobs=1))
    run.execute(RunOptions(**dataset, runs=root / "runs", features="mel", model="linear"))
    return root


def test_the_run_says_that_its_clips_are_windows_and_which_thresholds_are_best(folder):
    trained = run_folder.select_one(folder / "runs", "last")
    assert trained.training.windows and {*trained.training.calibration["last"].thresholds} == {
        *trained.classes
    }
    rows = trained.predictions()
    assert list(rows)[6:8] == ["start", "end"]
    assert (rows["end"] - rows["start"] == 1).all()
    assert rows["clip_id"].equals(rows["group"] + "@" + rows["start"].map("{:g}".format))


def test_thresholds_of_windows_are_fitted_to_validation_clips_if_there_are_any(folder):
    dataset = {"dataset": str(folder / "data" / "farm" / "farm.csv"), "data": folder / "data"}
    given = {"runs": folder / "validated", "features": "mel", "model": "linear", "val": "group"}
    trained = run.execute(RunOptions(**dataset, **given))
    probabilities, targets = trained.answers(split="val")
    fitted = trained.calibration()
    expected = fit_thresholds(np.eye(3, dtype=bool)[targets], scaled(probabilities, fitted.temperature))
    assert [*fitted.thresholds.values()] == expected.tolist()


def test_training_leads_to_detections(folder, capsys):
    dataset = {"dataset": str(folder / "data" / "farm" / "farm.csv"), "data": folder / "data"}
    run.run(RunOptions(**dataset, runs=folder / "runs", features="mel", model="linear"))
    name = run_folder.select_one(folder / "runs", "last").name
    assert f"then: make predict AUDIO=FOLDER RUN=farm/{name} DATA=" in capsys.readouterr().out


def test_predict_takes_windows_of_the_same_length_a_quarter_apart(folder, capsys):
    given = {"run": "last", "runs": folder / "runs", "reports": folder / "reports", "threads": "1"}
    assert predict_audio(PredictOptions(**given, audio=folder / "audio", tables=folder / "tables")) == 0
    rows = pd.read_csv(folder / "reports" / "farm" / "timelines" / "0.csv")
    assert rows["start"].tolist() == np.arange(0, 7.1, 0.25).tolist()
    scores = pd.read_csv(folder / "reports" / "farm" / "scores.csv", index_col="label")
    assert scores.loc["hiss", ["events", "event_recall", "best_f1_iou"]].tolist() == [6, 1, 1]
    shown = capsys.readouterr().out
    assert "perfect" in shown and "0.wav: 2 detections\n     0.625 " in shown


def test_test_clips_are_the_windows_of_their_recordings(folder, capsys):
    given = {"run": "last", "runs": folder / "runs", "data": folder / "data", "threads": "1"}
    assert predict_audio(PredictOptions(**given, test_clips=True)) == 0
    assert "at most: the same" in capsys.readouterr().err


def test_a_silence_gate_withholds_detections_of_tags_and_low_thresholds_are_named(folder, tmp_path, capsys):
    (tmp_path / "tables").mkdir()
    for table in (folder / "tables").iterdir():
        (tmp_path / "tables" / table.name).write_text(f"{table.read_text()}2.5\t3\ttone\n")
    given = {"data": tmp_path, "audio": folder / "audio", "tables": tmp_path / "tables", "name": "tags"}
    assert windows.run(WindowsCommand(**given, length=1, hop=0.5)) == 0
    dataset = {"dataset": str(tmp_path / "tags" / "tags.csv"), "data": tmp_path}
    assert not extract(FeaturesCommand(**dataset, features="mel", jobs=1))
    trained = run.execute(RunOptions(**dataset, runs=tmp_path / "runs", features="mel", model="linear"))
    assert trained.tags
    asked = {
        "run": str(trained.path),
        "audio": folder / "audio" / "0.wav",
        "reports": tmp_path,
        "threads": "1",
    }
    first = {}
    for gate in (None, -60.0):
        assert predict_audio(PredictOptions(**asked, threshold="0", gate=gate)) == 0
        first[gate] = pd.read_csv(tmp_path / "tags" / "detections.csv")["start"].min()
    assert first[None] == 0 and first[-60.0] > 0.1  # the first second is silent
    config = replace(
        trained.training, calibration={"last": Calibration(temperature=1, clips=1, thresholds={"tone": 0.05})}
    )
    run_folder.write_config(trained.path, config)
    capsys.readouterr()
    assert predict_audio(PredictOptions(**asked)) == 0
    assert "may give false alarms: tone 0.05; THRESHOLD=0.5 sets others" in capsys.readouterr().err


def test_python_gives_windows_and_detections_as_the_commands_do(folder, tmp_path):
    places = {"audio": folder / "audio", "tables": folder / "tables"}
    path = fs.windows(**places, length=1, hop=0.5, name="farm", data=tmp_path)
    assert path.read_text() == (folder / "data" / "farm" / "farm.csv").read_text()
    found = fs.detections(**places, run="last", runs=folder / "runs", reports=tmp_path, threads=1)
    assert list(found) == ["file", "start", "end", "class", "mean", "largest"]
    assert {*found["class"]} == {"hiss", "tone"} and (tmp_path / "farm" / "scores.csv").is_file()
    with refused("give audio="):
        fs.detections(run="last", runs=folder / "runs")


def test_the_report_scores_detections_of_the_tested_folds_and_shows_a_time_line(folder):
    options = AnalysisOptions(
        dataset="farm", data=folder / "data", runs=folder / "runs", reports=folder / "reports"
    )
    (job,) = jobs(options)
    page = build_report(job, options).page.read_text()
    scores = pd.read_csv(folder / "reports" / "farm" / "tables" / "detections.csv", index_col="label")
    assert scores["events"].tolist() == [6, 6, 12]
    whole = scores.loc["all classes"]
    assert whole["window_f1"] > 0.9 and whole["event_recall"] > 0.9
    for name in ("window_f1", "event_recall", "f1_iou", "f1_collar"):
        assert whole[f"{name}_low"] <= whole[name] <= whole[f"{name}_high"]
    assert re.search(r'<section id="detections".*<audio controls', page, re.DOTALL)
    assert "whose F1 at IoU 0.3 is the median" in page
    assert re.search(r"6 recordings, \d+ windows</span>", page)
    assert re.search(r"Windows</dt><dd>\d+ of 6 recordings", page)
