"""Tables of detections read back the same, and replace only what predict wrote."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from featurestack.extras.recordings import detections
from featurestack.extras.recordings.annotations import read_events
from featurestack.extras.recordings.detections import (
    corrected_events,
    count_events,
    detection_tables,
    require_same_audio,
    write_detection_tables,
)
from featurestack.extras.recordings.frames import Rule
from featurestack.extras.recordings.options import LabelOptions
from featurestack.features_cache.datasets import EVENT_COLUMNS
from featurestack.predict.options import PredictOptions
from tests.refusal import refused

NAMES = ("-12dB.wav", "=a.wav", "deep/@b.wav", "+c.wav")
RULE = Rule(low=800.0, column="Species")
LABELS = ("+call", "-trill", "=song", "@x")


def write(folder, names, labels, others=(), rule=RULE):
    """One detection in each recording, none in the others."""
    start = 0.5 + np.arange(len(names))
    columns = {"file": names, "start": start, "end": start + 0.25, "label": labels}
    detections = pd.DataFrame({**columns, "score": 0.75})
    files = {name: folder / "in" / name for name in [*names, *others]}
    seconds = dict.fromkeys([*names, *others], 10.0)
    rules = dict.fromkeys(labels, rule)
    tables = detection_tables(detections, files, seconds, rules, 4000.0)
    write_detection_tables(folder, tables)
    return detections, seconds


def checked(folder):
    """A folder of tables without fault, each marked as checked."""
    for table in folder.rglob("*.txt"):
        text = table.read_text().replace("Not checked", "Checked")
        table.write_text(text.replace("\tno ", "\tyes ", 1))
    return folder


def test_names_that_a_spreadsheet_would_compute_read_back_the_same(tmp_path):
    detections, seconds = write(tmp_path, NAMES, LABELS)
    read = pd.read_csv(tmp_path / "detections.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(read[[*detections]], detections)
    assert {*read["checked"]} == {"no"}
    events = detections.sort_values("file")[[*EVENT_COLUMNS]].to_numpy().tolist()
    for table in ("detections.csv", checked(tmp_path / "raven")):
        read = read_events(tmp_path / table, seconds).events[[*EVENT_COLUMNS]]
        assert read.to_numpy().tolist() == events, table


def test_the_column_of_the_marks_is_known_in_their_own_and_in_other_tables(tmp_path):
    rule = replace(RULE, column="caller")
    write(tmp_path, ["a.wav"], ["x"], others=["b.wav"], rule=rule)
    read = read_events(checked(tmp_path / "raven"), {"a.wav": 10.0, "b.wav": 10.0})
    assert read.annotated == {"a.wav", "b.wav"}
    marks = ["label", "low", "high", "column"]
    assert read.events[marks].values.tolist() == [["x", 800, 4000, "caller"]]
    other = tmp_path / "new.csv"
    other.write_text("file,start,end,caller,label\na.wav,1,2,owl,7\n")
    read = read_events(other, {"a.wav": 10.0}, usual="caller")
    assert read.events["label"].tolist() == ["owl"]


def events_of(table):
    return read_events(table, {"a.wav": 10.0, "b.wav": 10.0}).events["label"].tolist()


def test_corrected_tables_and_files_of_the_user_are_kept_and_named(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text("mine")
    (tmp_path / "detections.csv").write_text("and mine")
    write(tmp_path, ["a.wav", "b.wav"], ["x", "y"])
    corrected = tmp_path / "raven" / "a.wav.Table.1.selections.txt"
    corrected.write_text(corrected.read_text().replace("x", "corrected"))
    capsys.readouterr()
    for names in (["a.wav", "b.wav"], ["b.wav"]):
        write(tmp_path, names, ["new"] * len(names))
        assert events_of(tmp_path / "raven") == ["corrected"]
    assert "raven: 1 table with your corrections kept" in capsys.readouterr().err
    assert (tmp_path / "scores.csv").read_text() == "mine"
    assert (tmp_path / "detections.csv").read_text() == "and mine"


def saved_by_raven(table):
    rows = pd.read_csv(table, sep="\t")
    twice = pd.concat([rows.assign(View="Waveform 1"), rows])
    twice.to_csv(table, sep="\t", index=False, float_format="%.9f")


def test_tables_as_predict_wrote_them_are_no_annotations_wherever_they_lie(tmp_path):
    write(tmp_path / "out", ["a.wav"], ["x"], others=["b.wav"])
    tables = (tmp_path / "out" / "raven").rename(tmp_path / "tables")
    (tmp_path / "out" / "detections.csv").rename(tables / "all.csv")
    first, second = sorted(tables.glob("*.txt"))
    saved_by_raven(first)
    with refused("no table of annotations: .* write yes in the column Checked"):
        events_of(tables)
    notes = read_events(second, {"b.wav": 10.0}).notes
    assert f"tables as predict wrote them: 1, the first {second.name}" in notes
    (tables / "b.txt").write_text("1\t2\tdog\n")
    read = read_events(tables, {"a.wav": 10.0, "b.wav": 10.0})
    assert read.annotated == {"b.wav"} and read.events["label"].tolist() == ["dog"]
    said = "tables as predict wrote them, left out: 3, the first a.wav.Table.1"
    assert any(note.startswith(said) for note in read.notes)
    for before, after in (("0.75", "0.7"), ("\tx\t", "\ty\t"), ("no ", "yes ")):
        text = first.read_text()
        first.write_text(text.replace(before, after))
        (note,) = read_events(first, {"a.wav": 10.0}).notes
        assert note.startswith("tables corrected from detections; scores by them are")
        first.write_text(text)
    first.write_text(first.read_text().split("\n")[0])  # all were false alarms
    assert "a.wav" in read_events(tables, {"a.wav": 10.0, "b.wav": 10.0}).annotated


def test_a_label_track_counts_as_checked_once_audacity_has_saved_it(tmp_path):
    write(tmp_path, ["a.wav", "b.wav"], ["x", "y"], others=["c.wav"])
    tracks = (tmp_path / "audacity").rename(tmp_path / "tracks")
    first = tracks / "a.wav.txt"
    assert not (tracks / "c.wav.txt").exists()  # it would say that there is no event
    with refused("no table of annotations"):
        events_of(tracks)
    text = first.read_text()
    assert text.startswith("0.5\t0.75\tx\t")
    for saved in ("0.500000\t0.750000\tx\n", text.replace("0.5\t", "0.6\t")):
        first.write_text(saved)
        assert events_of(tracks) == ["x"]


def test_recordings_are_counted_by_their_corrected_tables(tmp_path, capsys):
    detections, seconds = write(tmp_path, ["a.wav", "b.wav", "c.wav"], ["x", "x", "y"])
    labels = LabelOptions()

    def counts():
        corrected = corrected_events(tmp_path, seconds, labels, "Species", [])
        remarks = {"bad.wav": "no sound"}
        return count_events(detections, corrected, seconds, remarks, ["x", "problem"])

    assert capsys.readouterr() and counts()["source"].iloc[:3].eq("detections").all()
    assert capsys.readouterr().err == ""
    table = tmp_path / "raven" / "a.wav.Table.1.selections.txt"
    table.write_text(table.read_text().replace("\tx\t", "\towl\t"))
    (tmp_path / "audacity" / "b.wav.txt").write_text("1\t2\tx\n3\t4\tx\n")
    table = counts()
    assert "counts 2 recordings by your corrected tables" in capsys.readouterr().err
    of_recording = ["recording", "seconds", "problem", "source"]
    assert [*table] == [*of_recording, "x", "problem", "owl", "y"]
    assert table["source"].tolist() == ["corrected", "corrected", "detections", ""]
    assert table["x"].tolist()[:3] == [0, 2, 0]
    assert table["owl"].tolist()[:3] == [1, 0, 0]
    (tmp_path / "audacity" / "b.wav.txt").write_text("1\t2\tx\n30\t4\tx\n")
    assert counts()["x"].tolist()[:3] == [0, 1, 0]
    assert "counts.csv counts the detections: " in capsys.readouterr().err


def test_a_check_is_proposed_until_there_is_one(tmp_path, monkeypatch, capsys):
    found = pd.DataFrame({"file": ["a.wav"]}), {}
    monkeypatch.setattr(detections, "find_detections", lambda *given: found)
    options = PredictOptions(audio=tmp_path, out=tmp_path, threshold="0.4")
    given = options, SimpleNamespace(run=None), {}
    detections.predict_recordings(*given)
    assert "THRESHOLD=0.4" in (out := capsys.readouterr().out)
    assert out.endswith("CHECK=100\n")
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "check.csv").touch()
    detections.predict_recordings(*given)
    assert capsys.readouterr().out == ""


def test_the_tables_of_other_recordings_are_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    counts = {"counts.csv": "recording,seconds\nr.wav,1\n"}
    write_detection_tables(tmp_path, {".audio": f"{tmp_path}/a\n", **counts})
    require_same_audio(tmp_path / "none", "/field/b", ["r.wav"])
    require_same_audio(tmp_path, f"{tmp_path}/a", [])
    with refused(f"the detections in {tmp_path}/a: .* OUT={tmp_path}-2"):
        require_same_audio(tmp_path, "/field/b", ["r.wav"])
    (tmp_path / "a").rename(tmp_path / "moved")
    require_same_audio(tmp_path, f"{tmp_path}/moved", ["r.wav", "new.wav"])
    with refused("holds the detections in"):
        require_same_audio(tmp_path, f"{tmp_path}/moved", ["new.wav"])


def test_tables_with_corrections_stay_and_one_line_says_how_to_count_them(
    tmp_path, capsys
):
    tables = {"raven/a.txt": "a", "raven/b.txt": "b", "counts.csv": "c"}
    contents = {".audio": "/field/a\nmel-frames\n", **tables}
    write_detection_tables(tmp_path, contents)
    for name in tables:
        (tmp_path / name).write_text("mine")
    capsys.readouterr()
    write_detection_tables(tmp_path, contents)
    _, of_raven, of_counts = capsys.readouterr().err.splitlines()
    assert of_raven.startswith(f"{tmp_path}/raven: 2 tables with your corrections kept")
    assert f"events AUDIO=/field/a TABLES={tmp_path}/raven writes" in of_raven
    assert of_counts.startswith(f"{tmp_path}/counts.csv: kept")


def test_the_tables_of_the_last_call_are_replaced_and_its_scores_go(tmp_path, capsys):
    write(tmp_path, ["a.wav", "b.wav"], ["x", "y"])
    counts = "recording,seconds,problem,source,x\na.wav,9,,detections,1\n"
    same = {"counts.csv": counts, ".audio": "/field/a\nmel-frames\n"}
    scored = {"scores.csv": "f1\n1\n", "errors.csv": "kind\n"}
    write_detection_tables(tmp_path, same | scored)
    capsys.readouterr()
    of_tables = "scores.csv and errors.csv of the last TABLES="
    corrected = {"counts.csv": counts.replace("detections,1", "corrected,2")}
    write_detection_tables(tmp_path, same | corrected)  # as after a correction
    assert all((tmp_path / name).is_file() for name in scored)
    capsys.readouterr()
    write_detection_tables(tmp_path, same)  # as CHECK= does
    kept = f"{of_tables}: kept, they score the same detections"
    assert kept in capsys.readouterr().err.splitlines()
    assert all((tmp_path / name).is_file() for name in scored)
    write_detection_tables(tmp_path, {"counts.csv": "c", ".audio": "/field/a\nmfcc\n"})
    told = capsys.readouterr().err.splitlines()
    gone = f"{of_tables}: removed, they belong to other detections"
    assert gone in told
    assert "the detections of mel-frames are replaced" in told
    assert not any((tmp_path / name).exists() for name in scored)
    write_detection_tables(tmp_path, {"counts.csv": "d", ".audio": "/field/a\nmfcc\n"})
    told = capsys.readouterr().err
    assert "last TABLES=" not in told and "are replaced" not in told
    write(tmp_path, ["b.wav"], ["z"])
    assert [file.name[:5] for file in (tmp_path / "raven").iterdir()] == ["b.wav"]
    assert events_of(checked(tmp_path / "raven")) == ["z"]
    assert not (tmp_path / "scores.csv").exists()
