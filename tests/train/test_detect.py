"""Detections of recordings: files, scores, counts; finished recordings stay."""

import multiprocessing
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.events.annotations import read_events
from featurestack.results.windows import EVENT_COLUMNS
from featurestack.train import detect
from tests.refusal import refused
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask

FIELD = sound("hiss", 50, seconds=3), sound("tone", 50, seconds=3), np.zeros(2 * RATE)


def record(file, *parts):
    """A recording of these parts, one after the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.concatenate(parts), RATE)


def test_writes_csv_labels_and_figure_and_scores_beside_the_best_possible(
    sounding, tmp_path, capsys
):
    for name in ("field.wav", "hill.wav"):
        record(tmp_path / "in" / name, *FIELD)
    (tmp_path / "in" / "bad.wav").write_bytes(b"nothing")
    (tmp_path / "field.txt").write_text("0\t3\thiss\n3\t6\ttone\n6.1\t6.2\tbat\n")
    given = {
        "audio": tmp_path / "in",
        "tables": tmp_path / "field.txt",
        "reports": tmp_path,
    }
    assert ask(sounding, hop=1.0, gate=-60.0, csv=True, **given) == 1
    file = tmp_path / "little" / "timelines" / "field"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    rows = pd.read_csv(file.with_suffix(".csv"), keep_default_na=False)
    assert rows["start"].tolist() == [*range(8)]
    assert rows["predicted"].tolist() == ["hiss"] * 3 + ["tone"] * 3 + [""] * 2
    labels = [
        line.split("\t")[:3]
        for line in file.with_suffix(".txt").read_text().splitlines()
    ]
    assert labels == [["0.000", "3.000", "hiss"], ["3.000", "6.000", "tone"]]
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "field.wav: 2 detections"
    assert [line.split()[2] for line in lines[1:3]] == ["hiss", "tone"]
    assert "bad.wav: not audio" in err and "CSV do not apply to HOP" in err
    assert lines[-1].split() == ["all", "classes", "2", "1.00", "1.00", "0"]
    assert "recordings without a table, not scored: hill.wav" in err
    assert "labels that are no class of the model, not scored: bat" in err
    scores = pd.read_csv(tmp_path / "little" / "scores.csv", index_col="label")
    best = scores.loc[
        "hiss",
        ["event_recall", "false_alarms", "f1_iou", "best_f1_iou", "best_f1_collar"],
    ]
    assert best.tolist() == [1, 0, 1, 1, 1]
    with refused("TABLES .* give HOP"):
        ask(sounding, **given)
    (tmp_path / "field.txt").write_text("9\t10\thiss\n")
    with refused(r"field\.txt, line 1: the event lasts from 9 to 10 s"):
        ask(sounding, hop=1.0, **given | {"reports": tmp_path / "none"})
    assert not (tmp_path / "none").exists()


def test_detections_read_back_the_same_from_every_format(sounding, tmp_path):
    silence = np.zeros(RATE)
    for name, label in (("field.wav", "hiss"), ("deep/hill.wav", "tone")):
        record(tmp_path / "in" / name, silence, sound(label, 50, seconds=2), silence)
    assert (
        ask(sounding, audio=tmp_path / "in", hop=0.3, gate=-60.0, reports=tmp_path) == 0
    )
    folder = tmp_path / "little"
    written = pd.read_csv(folder / "detections.csv")
    assert list(written) == ["file", "start", "end", "class", "mean", "largest"]
    assert set(written["file"]) == {"deep/hill.wav", "field.wav"}
    assert set(written["class"]) >= {"tone", "hiss"}
    assert (written["largest"] >= written["mean"]).all()
    found = written.rename(columns={"class": "label"})[EVENT_COLUMNS]
    for windows_of in (folder / "timelines").rglob("*.csv"):
        windows_of.unlink()  # no annotation tables
    recordings = {"field.wav": 4.0, "deep/hill.wav": 4.0}
    for table in (
        "detections.csv",
        "detections.selections.txt",
        "detections.tsv",
        "timelines",
    ):
        assert read_events(folder / table, recordings).events.round(6).equals(found), (
            table
        )
    raven = pd.read_csv(folder / "detections.selections.txt", sep="\t")
    # one sequence
    assert (raven["Begin Time (s)"] - raven["File Offset (s)"]).isin([0.0, 4.0]).all()


def test_thresholds_by_class_decide_instead_of_the_most_probable(sounding, tmp_path):
    record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    for threshold, labels in (
        ("1", set()),
        ("0", set(sounding.classes)),
        ("1,hiss=0", {"hiss"}),
    ):
        assert (
            ask(
                sounding, audio=tmp_path, hop=0.5, threshold=threshold, reports=tmp_path
            )
            == 0
        )
        assert (
            set(pd.read_csv(tmp_path / "little" / "detections.csv")["class"]) == labels
        )
    for wrong in ("2", "tone=x", "tune=0.5"):
        with refused(r"did you mean 'tone'|expected a probability"):
            ask(sounding, audio=tmp_path, hop=0.5, threshold=wrong, reports=tmp_path)


def test_windows_are_as_long_as_the_median_clip_if_many_were_padded(
    short, tmp_path, capsys
):
    record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    median = short.training.clip_seconds
    assert 0 < median < short.training.duration
    assert ask(short, audio=tmp_path / "tone.wav", hop=0.1, reports=tmp_path) == 0
    assert (
        f"windows of {median:g} s, the median of the training clips"
        in capsys.readouterr().err
    )
    rows = pd.read_csv(tmp_path / "little" / "timelines" / "tone.csv")
    assert (rows["end"] - rows["start"]).tolist() == pytest.approx(
        [median] * len(rows), abs=2e-3
    )
    assert (
        ask(short, audio=tmp_path / "tone.wav", hop=0.1, window=1.0, reports=tmp_path)
        == 0
    )
    assert "median" not in capsys.readouterr().err


@pytest.fixture
def field(tmp_path):
    """Two recordings, and the options of a prediction through them."""
    record(tmp_path / "in" / "a_20260514.wav", *FIELD)
    record(tmp_path / "in" / "b.wav", *FIELD[1:])
    return {"audio": tmp_path / "in", "out": tmp_path / "out", "hop": 0.5}


@pytest.fixture
def predicted(monkeypatch):
    """The names of the recordings whose probabilities were computed."""
    names = []
    compute = detect.predict_windows

    def watched(model, name, *given):
        names.append(name)
        return compute(model, name, *given)

    monkeypatch.setattr(detect, "predict_windows", watched)
    return names


def results(folder):
    """The content of every file below a folder but the figures."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*.*")
        if path.suffix != ".png"
    }


def test_a_kill_loses_no_finished_recording(sounding, field, predicted, tmp_path):
    compute = detect.predict_windows

    def killed(model, name, *given):
        if name == "b.wav":
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(model, name, *given)

    def child():
        detect.predict_windows = killed
        ask(sounding, **field)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (field["out"] / "detections.csv").exists()
    assert ask(sounding, **field) == 0
    assert predicted == ["b.wav"]
    assert ask(sounding, **field | {"out": tmp_path / "undisturbed"}) == 0
    assert results(field["out"]) == results(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "change", [{"threshold": "0"}, {"gate": -60.0}, {"reject": "1"}]
)
def test_other_thresholds_read_the_probabilities_of_the_timelines(
    sounding, field, predicted, change, tmp_path
):
    assert ask(sounding, **field) == 0
    before = results(field["out"])
    predicted.clear()
    assert ask(sounding, **field, **change) == 0
    assert predicted == []
    assert results(field["out"]) != before
    assert ask(sounding, **field | {"out": tmp_path / "fresh"}, **change) == 0
    assert results(field["out"]) == results(tmp_path / "fresh")


def test_recordings_of_former_calls_stay_in_the_joined_tables(
    sounding, field, predicted, tmp_path
):
    record(tmp_path / "week2" / "c.wav", *FIELD)
    assert ask(sounding, **field) == 0
    assert ask(sounding, **field | {"audio": tmp_path / "week2", "threshold": "0"}) == 0
    assert predicted == ["a_20260514.wav", "b.wav", "c.wav"]
    table = pd.read_csv(field["out"] / "detections.csv")
    assert {*table["file"]} == {"a_20260514.wav", "b.wav", "c.wav"}
    # the former recordings are decided by the same threshold
    assert (table.groupby("file")["class"].nunique() == len(sounding.classes)).all()
    with_windows = pd.read_csv(
        field["out"] / "timelines" / "b.txt", sep="\t", header=None
    )
    assert {*with_windows[2]} == {*sounding.classes}


def test_times_of_a_sequence_for_raven_have_three_decimals():
    durations = pd.Series({"a.wav": 0.1, "b.wav": 4.0})
    rows = [("b.wav", 0.2, 0.6, "x", 0.5, 0.5)]
    columns = [*EVENT_COLUMNS, "mean", "largest"]
    found = pd.DataFrame(rows, columns=columns)
    text = detect.detection_formats(found, durations, 8000.0)["selections.txt"]
    assert text.splitlines()[1].split("\t")[3:5] == ["0.3", "0.7"]


def test_counts_name_each_recording_its_day_and_each_class(sounding, field):
    assert ask(sounding, **field, gate=-60.0) == 0
    counts = pd.read_csv(field["out"] / "counts.csv", keep_default_na=False)
    assert list(counts) == ["recording", "day", "class", "detections", "seconds"]
    first = counts[counts["recording"] == "a_20260514.wav"].set_index("class")
    assert {*first["day"]} == {"2026-05-14"}
    assert {*counts["day"][counts["recording"] == "b.wav"]} == {""}
    assert first.loc["clicks", "detections"] == 0
    assert first.loc["hiss", ["detections", "seconds"]].tolist() == [1, 2.75]


def test_no_file_of_a_former_call_stays_stale(sounding, field, tmp_path):
    (tmp_path / "a_20260514.txt").write_text("0\t3\thiss\n")
    tables = {"tables": tmp_path / "a_20260514.txt"}
    assert ask(sounding, **field, **tables) == 0
    assert (field["out"] / "scores.csv").exists()
    assert ask(sounding, **field) == 0
    assert not (field["out"] / "scores.csv").exists()


def test_a_changed_recording_or_model_is_predicted_again(
    sounding, unlike, field, predicted, capsys
):
    assert ask(sounding, **field) == 0
    record(field["audio"] / "b.wav", FIELD[0])
    predicted.clear()
    assert ask(sounding, **field) == 0
    assert predicted == ["b.wav"]
    predicted.clear()
    assert (
        ask(sounding, **field | {"audio": field["audio"] / "b.wav", "hop": 0.25}) == 0
    )
    assert predicted == ["b.wav"]
    assert "1 recording in" in capsys.readouterr().err
    table = pd.read_csv(field["out"] / "detections.csv")
    assert {*table["file"]} == {"b.wav"}


def test_another_recording_of_the_same_name_is_refused(sounding, field, tmp_path):
    assert ask(sounding, **field) == 0
    record(tmp_path / "other" / "b.wav", FIELD[2])
    with refused("another recording of this name; give OUT="):
        ask(sounding, **field | {"audio": tmp_path / "other"})
    shutil.copytree(field["audio"], tmp_path / "moved")
    assert ask(sounding, **field | {"audio": tmp_path / "moved"}) == 0


def test_at_most_twenty_detections_of_a_recording_are_printed(
    sounding, tmp_path, capsys
):
    parts = [sound("tone", 50, seconds=1), np.zeros(RATE)] * 25
    record(tmp_path / "long.wav", *parts)
    given = {"audio": tmp_path / "long.wav", "reports": tmp_path}
    assert ask(sounding, **given, hop=0.5, gate=-60.0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert "more in" in lines[-1]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("SMU1_20260514_053000.wav", "2026-05-14"),
        ("2026-05-14/a.wav", "2026-05-14"),
        ("a2026_05_14.wav", "2026-05-14"),
        ("rec-20261340.wav", ""),
        ("4202605141.wav", ""),
        ("a.wav", ""),
    ],
)
def test_the_day_is_read_from_a_name(name, day):
    assert detect.day_of(name) == day
