"""From recordings and annotation tables to windows, a run, its detections and its
report.
"""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.analysis.options import AnalysisOptions
from featurestack.pipeline.datasets import windows
from featurestack.pipeline.extract import run as extract
from featurestack.pipeline.options import FeaturesCommand, WindowsCommand
from featurestack.results import run_folder
from featurestack.results.calibration import fit_thresholds, scaled
from featurestack.results.config import Calibration
from featurestack.results.tasks.tags import TAGS
from featurestack.results.tested_windows import read_tested
from featurestack.train import choose_joining, run, run_json
from featurestack.train.audio_model import AudioModel
from featurestack.train.bundle import bundle_of_run
from featurestack.train.detect import Windowing, rules_of
from featurestack.train.options import RunOptions
from tests.analysis.test_report import build, within
from tests.refusal import refused
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask

SILENCE = np.zeros(RATE, np.float32)


def options(root, name="farm", **given):
    """Options of a run on the windows of a dataset in `root`."""
    dataset = {
        "dataset": str(root / "data" / name / f"{name}.csv"),
        "data": root / "data",
    }
    return RunOptions(
        **dataset, features="mel", model="linear", **({"runs": root / "runs"} | given)
    )


def train(root, audio, name="farm", **further):
    """A run on windows of the recordings in `audio`, labelled by the tables in
    `root`; `further` options of windows.
    """
    given = {
        "data": root / "data",
        "audio": audio,
        "tables": root / "tables",
        "name": name,
    }
    assert windows.run(WindowsCommand(**given, length=1, hop=0.5, **further)) == 0
    wanted = options(root, name)
    assert not extract(
        FeaturesCommand(
            dataset=wanted.dataset, data=wanted.data, features="mel", jobs=1
        )
    )
    return run.execute(wanted)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on six recordings with a hiss from 1 to 3 s and a tone from 5 to 6.5 s."""
    root = tmp_path_factory.mktemp("farm")
    (root / "audio").mkdir()
    (root / "tables").mkdir()
    for take in range(6):
        parts = (
            SILENCE,
            sound("hiss", take, 2),
            SILENCE,
            SILENCE,
            sound("tone", take, 1.5),
            SILENCE,
            SILENCE,
        )
        recording = np.concatenate(parts)[: 8 * RATE]
        soundfile.write(
            root / "audio" / f"{take}.wav", recording, RATE, subtype="FLOAT"
        )
        (root / "tables" / f"{take}.txt").write_text("1\t3\thiss\n5\t6.5\ttone\n")
    return train(root, root / "audio")


@pytest.fixture
def folder(trained):
    """The folder with the recordings, their tables, the dataset of windows and the
    run.
    """
    return trained.path.parents[2]


def test_the_run_says_that_its_clips_are_windows_and_which_thresholds_are_best(trained):
    assert trained.training.windows
    assert {*trained.training.calibration["last"].thresholds} == {*trained.classes}
    rows = trained.predictions()
    assert list(rows)[6:8] == ["start", "end"]
    assert (rows["end"] - rows["start"] == 1).all()
    assert rows["clip_id"].equals(
        rows["group"] + "@" + rows["start"].map("{:g}".format)
    )


def test_thresholds_of_windows_are_fitted_to_validation_clips_if_there_are_any(folder):
    validated = run.execute(options(folder, runs=folder / "validated", val="group"))
    probabilities, targets = validated.answers(split="val")
    fitted = validated.calibration()
    expected = fit_thresholds(
        np.eye(3, dtype=bool)[targets], scaled(probabilities, fitted.temperature)
    )
    assert [*fitted.thresholds.values()] == expected.tolist()


def test_training_leads_to_detections(folder, trained, capsys):
    run.run(options(folder))
    out = capsys.readouterr().out
    assert re.search(rf"then: .* AUDIO=FOLDER RUN=farm/{trained.name} ", out)


def test_predict_takes_windows_of_the_same_length_a_quarter_apart(
    folder, trained, tmp_path, capsys
):
    given = {
        "audio": folder / "audio",
        "tables": folder / "tables",
        "reports": tmp_path,
    }
    found = fs.detections(**given, run=str(trained.path), threads=1)
    rows = pd.read_csv(tmp_path / "farm" / "timelines" / "0.csv")
    assert rows["start"].tolist() == np.arange(0, 7.1, 0.25).tolist()
    scores = pd.read_csv(tmp_path / "farm" / "scores.csv", index_col="label")
    assert scores.loc["hiss", ["events", "event_recall", "best_f1_iou"]].tolist() == [
        6,
        1,
        1,
    ]
    capsys.readouterr()
    assert ask(trained, **given) == 0
    shown = capsys.readouterr().out
    assert "false alarms/h" in shown
    assert "0.wav: 2 detections\n     0.625 " in shown
    assert pd.read_csv(tmp_path / "farm" / "detections.csv").equals(found)
    with refused("give audio="):
        fs.detections(run=str(trained.path))


def test_test_clips_are_the_windows_of_their_recordings(trained, capsys):
    assert ask(trained, test_clips=True) == 0
    assert "at most: the same" in capsys.readouterr().err


def test_a_silence_gate_withholds_detections_of_tags_and_no_threshold_is_below_030(
    folder, tmp_path
):
    (tmp_path / "tables").mkdir()
    for table in (folder / "tables").iterdir():
        (tmp_path / "tables" / table.name).write_text(
            f"{table.read_text()}2.5\t3\ttone\n"
        )
    tagged = train(tmp_path, folder / "audio", "tags")
    assert tagged.task is TAGS
    given = {"audio": folder / "audio" / "0.wav", "reports": tmp_path}
    first = {}
    for gate in (None, -60.0):
        assert ask(tagged, **given, threshold="0", gate=gate) == 0
        first[gate] = pd.read_csv(tmp_path / "tags" / "detections.csv")["start"].min()
    assert first[None] == 0 and first[-60.0] > 0.1  # the first second is silent
    low = {"last": Calibration(temperature=1, clips=1, thresholds={"tone": 0.05})}
    run_folder.write_config(tagged.path, replace(tagged.training, calibration=low))
    model = AudioModel(bundle_of_run(run_folder.RunFolder(tagged.path)))
    windowing = Windowing.of(model, 0, 0)
    assert rules_of(model, "", windowing)["tone"].threshold == 0.3
    assert rules_of(model, "tone=0.05", windowing)["tone"].threshold == 0.05


def test_training_chooses_rules_and_predict_uses_them_at_finer_hops(
    trained, folder, tmp_path, capsys
):
    joining = trained.calibration().joining
    assert (joining.length, joining.hop) == (1, 0.25)
    assert {*joining.rules} == {"hiss", "tone"}
    assert all(rule.threshold >= 0.3 for rule in joining.rules.values())
    model = AudioModel(bundle_of_run(trained))
    windowing = Windowing.of(model, 0, 0)
    assert windowing.hop == 0.25
    assert rules_of(model, "", windowing)["tone"] == joining.rules["tone"]
    assert "are not used" not in capsys.readouterr().err
    rules_of(model, "", Windowing.of(model, 0, 1.0))
    assert "are not used" in capsys.readouterr().err


def test_training_on_one_recording_names_blocks(folder, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "0.txt").write_text("1\t3\thiss\n5\t6.5\ttone\n")
    with refused("one fold only, and testing needs two: windows BLOCK=120 makes"):
        train(tmp_path, folder / "audio" / "0.wav")


def test_a_killed_choice_of_rules_is_made_by_the_next_command(folder, monkeypatch):
    again = options(folder, runs=folder / "killed")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(run_json, "joining_of_run", killed)
        run.execute(again)
    (path,) = (folder / "killed" / "farm").iterdir()
    assert not run_folder.RunFolder(path).training.calibration
    assert run.execute(again).calibration().joining


def killed(*_):
    raise KeyboardInterrupt


def test_training_predicts_every_part_of_the_tested_recordings(trained, folder):
    tested = read_tested(trained)
    assert tested.groupby("file").size().tolist() == [29] * 6  # 0 to 7 s, each 0.25 s
    of_dataset = set(zip(*trained.predictions()[["group", "start"]].to_numpy().T))
    left_out = (tested["file"] + " " + tested["start"].astype(str)).nunique()
    assert left_out > len(of_dataset)
    by_fold = trained.predictions().groupby("group")["fold"].first()
    assert tested["fold"].tolist() == by_fold[tested["file"]].tolist()


def test_windows_of_the_dataset_have_the_probabilities_of_predictions_csv(trained):
    tested = read_tested(trained).set_index(["file", "start"])
    rows = trained.predictions().set_index(["group", "start"])
    assert len(rows) > 60
    again = tested.loc[rows.index, trained.classes]
    assert np.abs(again.to_numpy() - rows[trained.classes].to_numpy()).max() < 1e-4


def test_a_damaged_table_of_tested_windows_is_named(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "run")
    file = tmp_path / "run" / "tested_windows.csv"
    lines = file.read_text().splitlines()
    for damaged in (["nothing"], [*lines, lines[-1].replace("0.", "x.")]):
        file.write_text("\n".join(damaged))
        with refused("tested_windows.csv cannot be read .*: remove"):
            read_tested(run_folder.RunFolder(tmp_path / "run"))


def test_without_the_recordings_the_datasets_windows_choose_the_rules(
    folder, tmp_path, capsys
):
    moved = tmp_path / "audio"
    (folder / "audio").rename(moved)
    again = run.execute(options(folder, runs=tmp_path / "runs"))
    moved.rename(folder / "audio")
    assert "chosen on the dataset's windows alone" in capsys.readouterr().err
    joining = again.calibration().joining
    assert (joining.length, joining.hop) == (1, 0.5)
    assert read_tested(again) is None


def test_recordings_too_long_for_training_to_predict_have_the_command_named(
    folder, tmp_path, capsys, monkeypatch
):
    # 29 windows a recording, and five folds
    monkeypatch.setattr(choose_joining, "MOST_WINDOWS", 4 * 32)
    again = run.execute(options(folder, runs=tmp_path / "runs"))
    named = "predict TEST_CLIPS=1 HOP=0.25 predicts all of them"
    assert named in capsys.readouterr().err
    assert again.calibration().joining.hop == 0.5
    assert read_tested(again) is None


def test_training_prints_the_scores_of_detections(folder, tmp_path, capsys):
    run.execute(options(folder, runs=tmp_path / "runs"))
    line = "F1 at IoU 0.3 1.00, 1.00 of the events found, 0 false alarms an hour"
    assert line in capsys.readouterr().err
    run.execute(options(folder, runs=tmp_path / "one", folds=(1,)))
    assert "false alarms" not in capsys.readouterr().err


def test_the_report_says_which_windows_it_scores(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "farm")
    root = tmp_path / "farm"
    chosen = AnalysisOptions(dataset="farm", **within(root))
    everywhere = "Every part of 6 of 6 recordings was predicted"
    assert everywhere in build(chosen).page.read_text()
    (root / "runs" / "farm" / "mel-linear" / "tested_windows.csv").unlink()
    page = build(chosen).page.read_text()
    assert everywhere not in page and "these scores are optimistic" in page


def test_retraining_chooses_rules_anew(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "farm")
    root = tmp_path / "farm"
    before = run.execute(options(root)).training
    stale = dict(before.calibration)
    stale["last"] = replace(stale["last"], joining=None)
    path = root / "runs" / "farm" / "mel-linear"
    other = replace(before, calibration=stale, clips="others", hash="others")
    run_folder.write_config(path, other)
    assert not run_folder.RunFolder(path).calibration().joining
    again = run.execute(options(root, retrain=True))
    assert again.path == path
    assert again.calibration().joining == before.calibration["last"].joining


def test_a_class_that_fills_far_more_than_in_training_is_named(
    trained, tmp_path, capsys
):
    long = {"quiet": [SILENCE] * 9, "loud": [sound("tone", 99, 9)]}
    for name, parts in long.items():
        soundfile.write(tmp_path / f"{name}.wav", np.concatenate(parts), RATE)
        given = {"audio": tmp_path / f"{name}.wav", "out": tmp_path / name}
        assert ask(trained, **given) == 0
        named = "tone fills 100% of these recordings" in capsys.readouterr().err
        assert named == (name == "loud")


def test_the_report_scores_detections_of_the_tested_folds_and_shows_a_time_line(folder):
    page = build(AnalysisOptions(dataset="farm", **within(folder))).page.read_text()
    scores = pd.read_csv(
        folder / "reports" / "farm" / "tables" / "detections.csv", index_col="label"
    )
    assert scores["events"].tolist() == [6, 6, 12]
    whole = scores.loc["all classes"]
    assert whole["window_f1"] > 0.9 and whole["event_recall"] > 0.9
    for name in ("window_f1", "event_recall", "f1_iou", "f1_collar"):
        assert whole[f"{name}_low"] <= whole[name] <= whole[f"{name}_high"]
    assert re.search(r'<section id="detections".*<audio controls', page, re.DOTALL)
    assert "whose F1 at IoU 0.3 is the median" in page
    assert re.search(r"6 recordings, \d+ windows</span>", page)
    assert re.search(r"Windows</dt><dd>\d+ of 6 recordings", page)


def test_a_false_alarm_in_the_report_is_a_detection_that_finds_no_event(
    folder, tmp_path
):
    shutil.copytree(folder, tmp_path / "farm")
    root = tmp_path / "farm"
    file = root / "runs" / "farm" / "mel-linear" / "tested_windows.csv"
    tested = pd.read_csv(file, dtype={"file": str})
    silent = (tested["file"] == "0") & (tested["start"] == 3.5)
    assert silent.sum() == 1
    tested.loc[silent, ["hiss", "tone", "background"]] = [0.0, 0.999, 0.001]
    tested.to_csv(file, index=False)
    build(AnalysisOptions(dataset="farm", **within(root)))
    scores = pd.read_csv(
        root / "reports" / "farm" / "tables" / "detections.csv", index_col="label"
    )
    an_hour = 3600 / (6 * 8)  # one false alarm in six recordings of 8 s
    assert scores["false_alarms"].tolist() == pytest.approx([0, an_hour, an_hour])
    assert scores["event_recall"].tolist() == [1, 1, 1]


def test_a_report_on_recordings_with_one_window_each_has_their_detections(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "tables").mkdir()
    for take in range(12):
        name = ("hiss", "tone")[take % 2]
        recording = sound(name, take, 1.0)[:RATE]
        soundfile.write(tmp_path / "audio" / f"{take}.wav", recording, RATE)
        (tmp_path / "tables" / f"{take}.txt").write_text(f"0.1\t0.9\t{name}\n")
    trained = train(tmp_path, tmp_path / "audio")
    chosen = AnalysisOptions(dataset=trained.config.dataset, **within(tmp_path))
    page = build(chosen).page
    assert "Detections" in page.read_text(encoding="utf-8")
