"""The command `events`: recordings in pieces, and the events beside them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestack.extras.recordings.annotations import (
    check_mark,
    read_marks,
    stored_marks,
)
from featurestack.extras.recordings.dataset import (
    cut_blocks,
    cut_pieces,
    label_pieces,
    make_events,
    piece_length,
    place,
    rare_labels,
)
from featurestack.extras.recordings.detections import write_detection_tables
from featurestack.extras.recordings.options import EventsCommand
from featurestack.features_cache.cache import cache_of
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.extract import extract_features
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from tests.extras.recordings.field import SECONDS, write_recordings
from tests.refusal import refused


def test_pieces_cover_a_recording_and_overlap_and_none_lies_in_two_blocks():
    pieces = cut_pieces(cut_blocks({"a.wav": 23.7}), 10.0)
    assert pieces["start"].iloc[0] == 0 and pieces["end"].iloc[-1] == 23.7
    assert (pieces["end"] - pieces["start"]).tolist() == pytest.approx([10] * 3)
    overlaps = pieces["end"].to_numpy()[:-1] - pieces["start"].to_numpy()[1:]
    assert (overlaps >= 1 - 1e-6).all()
    assert piece_length(np.array([60.0] * 6 + [0.001])) == 10
    assert piece_length(np.full(60, 4.0)) <= 4
    blocks = cut_blocks({"a.wav": 250.0}, 2)
    assert blocks[["group", "end"]].values.tolist() == [["a@0", 125], ["a@125", 250]]
    pieces = cut_pieces(blocks, 10.0)
    assert not ((pieces["start"] < 125) & (pieces["end"] > 125)).any()


def test_a_piece_has_the_labels_that_occur_in_it():
    pieces = pd.DataFrame(
        {"file": "a.wav", "start": [0.0, 9, 18], "end": [10.0, 19, 28]}
    )
    events = pd.DataFrame(
        [("a.wav", 9.5, 9.6, "b"), ("a.wav", 0, 28, "a"), ("a.wav", 20, 20.1, "p")],
        columns=["file", "start", "end", "label"],
    )
    assert label_pieces(pieces, events).tolist() == ["a;b", "a;b", "a;p"]


def options(folder, **given):
    tables = {"audio": folder / "audio", "tables": folder / "events.csv"}
    return EventsCommand(**{**tables, "data": folder / "data", **given})


def test_another_dataset_is_not_replaced(tmp_path, capsys):
    write_recordings(folder := tmp_path)
    assert make_events(options(folder, name="kept")) == 0
    assert make_events(options(folder, name="kept")) == 0  # the same
    assert "labels exclude each other" in capsys.readouterr().out
    # nothing depends on it yet: a repaired label replaces it
    other = options(folder, name="kept", label="x", column="file")
    assert make_events(other) == 0 and make_events(options(folder, name="kept")) == 0
    table = folder / "data" / "kept" / "kept.csv"
    written = table.read_text()
    table.write_text(written + "\n")  # the user's change
    with refused("kept.csv is there with other content: .*mv .*/events.csv .* FOLDER"):
        make_events(other)
    table.write_text(written)
    (table.parent / "features").mkdir()
    with refused("events.csv is there with other content"):
        make_events(other)
    with refused("events has another meaning: give NAME="):
        make_events(options(folder, name="events"))


def test_recordings_that_were_moved_are_found_by_audio_dir(tmp_path, capsys):
    write_recordings(tmp_path, recordings=3)
    for number in range(2):
        sub = tmp_path / "audio" / f"site{number}"
        sub.mkdir()
        (tmp_path / "audio" / f"r{number}.wav").rename(sub / f"r{number}.wav")
    make_events(options(tmp_path, name="kept"))
    table = tmp_path / "data" / "kept" / "kept.csv"
    given = {"dataset": str(table), "data": tmp_path / "data"}
    asked = FeaturesCommand(**given, features="rms", jobs=1)
    extract_features(asked)
    before = stored_marks(cache_of(str(table), tmp_path / "data"))
    (tmp_path / "audio").rename(moved := tmp_path / "elsewhere")
    capsys.readouterr()
    assert make_events(options(tmp_path, name="kept", audio=moved)) == 0
    out = capsys.readouterr().out
    assert f"only the folder differs, {tmp_path / 'audio'};" in out
    assert f"AUDIO_DIR={moved}" in out.splitlines()[-1]
    wrong = load(SourceOptions(**given, audio_dir=str(tmp_path / "data")))
    assert any("r2.wav is not in it" in note for note in wrong.notes)
    extract_features(replace(asked, audio_dir=str(moved)))
    cache = cache_of(str(table), tmp_path / "data")
    files = {moved / "site0" / "r0.wav", moved / "site1" / "r1.wav", moved / "r2.wav"}
    assert {*map(Path, cache.clips["path"])} == files
    assert {*map(Path, read_marks(cache)["file"])} == files
    assert stored_marks(cache).equals(before)


def test_a_folder_of_clips_is_read_and_not_events_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recordings(tmp_path, recordings=4)
    make_events(options(tmp_path))
    table = str(tmp_path / "data" / "audio" / "audio.csv")
    given = SourceOptions(dataset="audio", data=tmp_path / "data")
    assert load(given).source == load(replace(given, dataset="audio/")).source == table
    for number in range(4):  # now they are clips of two classes
        recording = tmp_path / "audio" / f"r{number}.wav"
        recording.parent.joinpath(f"c{number % 2}").mkdir(exist_ok=True)
        recording.rename(recording.parent / f"c{number % 2}" / recording.name)
    assert load(given).source == str(tmp_path / "audio")
    with refused("no audio files in sub-folders"):  # not its name
        load(replace(given, dataset="audio/c0"))


def test_recordings_of_one_group_share_a_fold_and_stay_apart_in_time(tmp_path):
    table = write_recordings(tmp_path, recordings=6)
    for number in range(6):
        recording = tmp_path / "audio" / f"r{number}.wav"
        recording.rename(recording.with_name(f"bird{number % 3}_{number}.wav"))
    names = table["file"].str.replace(
        r"r(\d)", lambda m: f"bird{int(m[1]) % 3}_{m[1]}", regex=True
    )
    table.assign(file=names).to_csv(tmp_path / "events.csv", index=False)
    with refused("GROUP=bird has no parentheses"):
        make_events(options(tmp_path, group="bird"))
    make_events(options(tmp_path, group="(.*)_[0-9]"))
    clips = load(
        SourceOptions(
            dataset=str(tmp_path / "data/audio/audio.csv"), data=tmp_path / "data"
        )
    ).table
    assert {*clips["group"]} == {"bird0", "bird1", "bird2"}
    assert (clips.groupby("group")["fold"].nunique() == 1).all()
    _, _, frames = place(clips, np.arange(0.05, 5, 0.1), ["high", "low"])
    assert len(frames.stretches) == 6 and (frames.start == 0).all()
    assert frames.end.tolist() == [SECONDS] * 6
    assert (np.diff(frames.axis) > 0).all()


def test_a_label_of_few_events_is_named_with_a_frequent_one_like_it(tmp_path, capsys):
    table = write_recordings(tmp_path, recordings=4)
    table.loc[0, "label"] = "hhigh"
    table[table["file"] != "r3.wav"].to_csv(tmp_path / "events.csv", index=False)
    make_events(options(tmp_path, empty=True))
    out = capsys.readouterr().out
    assert "\nno table, used as empty: 1 recording, r3.wav\n" in out
    assert "\nhhigh: 1 event in r0.wav: misspelt for high?\n" in out
    assert "low: " not in out


def test_labels_that_overlap_by_a_wrong_end_are_told_its_line(tmp_path, capsys):
    table = write_recordings(tmp_path, recordings=3)
    table.loc[1, "end"] = SECONDS
    table.to_csv(tmp_path / "events.csv", index=False)
    make_events(options(tmp_path))
    assert re.search(
        r"labels overlap: .*; \d+ events begin within the event of .*csv, line 3;",
        capsys.readouterr().out,
    )


def test_labels_that_differ_in_digits_or_are_about_as_frequent_are_not_misspelt():
    def lines(rare, number, frequent, files=3):
        labels = [frequent] * 12 + [rare] * number
        events = pd.DataFrame({"label": labels, "file": "r0"})
        events.loc[:11, "file"] = [f"r{place % files}" for place in range(12)]
        return rare_labels(events)

    alone = "in r0"
    assert lines("notte6", 2, "note6") == [
        f"notte6: 2 events {alone}: misspelt for note6?"
    ]
    rare = f"events {alone}: no other recording has it"
    assert lines("note8", 2, "note6") == [f"note8: 2 {rare}"]
    assert lines("notte6", 4, "note6") == [f"notte6: 4 {rare}"]
    few = [f"notte6: 2 events {alone}: too few to learn"]
    assert lines("notte6", 2, "note6", files=2) == few
    case = [f"Note6: 9 events {alone}: misspelt for note6?"]
    assert lines("Note6", 9, "note6") == case


def test_a_wrong_place_is_answered_with_what_is_beside_it(tmp_path):
    write_recordings(tmp_path, recordings=1)
    with refused("audi does not exist: .*; did you mean '.*audio'"):
        make_events(options(tmp_path, audio=tmp_path / "audi"))
    with refused("event.csv does not exist; did you mean '.*events.csv'"):
        make_events(options(tmp_path, tables=tmp_path / "event.csv"))


def test_a_single_recording_is_trained_and_tested_in_blocks(tmp_path, capsys):
    write_recordings(tmp_path, recordings=1)
    make_events(options(tmp_path))
    assert "one recording: its 5 blocks are groups" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "data" / "audio" / "audio.csv")
    assert table["group"].nunique() == 5


def test_detections_of_the_program_are_no_annotations(tmp_path, capsys):
    table = write_recordings(tmp_path, recordings=2)
    table[table["file"] == "r0.wav"].to_csv(tmp_path / "audio" / "r0.csv", index=False)
    marked = table.assign(score=0.9, checked=check_mark(table))
    detections = marked.to_csv(index=False)
    write_detection_tables(tmp_path / "audio", {"detections.csv": detections})
    given = options(tmp_path, tables=tmp_path / "audio")
    make_events(given)
    out = capsys.readouterr().out
    assert "as predict wrote them, left out: 1, the first detections.csv" in out
    assert "left out, no table" not in out  # its table is said to be unchecked
    assert "write yes in the column Checked of tables that are correct" in out
    make_events(options(tmp_path, tables=tmp_path / "audio", empty=True, name="e"))
    # r1.wav is not taken as free of events
    assert capsys.readouterr().out.startswith("1 recording, ")
    (tmp_path / "audio" / "r0.csv").unlink()
    with refused("holds no table of annotations: .* not only tables as predict wrote"):
        make_events(given)
    # whoever names them, or has corrected them, has them read
    make_events(options(tmp_path, tables=tmp_path / "audio/detections.csv", name="b"))
    out = capsys.readouterr().out
    assert f"2 recordings, 14 s, {len(table)} events" in out
    assert "\ntables as predict wrote them: 1, the first detections.csv" in out
    (tmp_path / "audio" / "detections.csv").write_text(detections.replace("low", "l"))
    make_events(options(tmp_path, tables=tmp_path / "audio", name="c"))
    assert "left out" not in capsys.readouterr().out


def test_events_in_the_missing_part_of_a_recording_are_counted(tmp_path, capsys):
    table = write_recordings(tmp_path, recordings=2)
    file = tmp_path / "audio" / "r0.wav"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    half = SECONDS / 2
    lost = ((table["file"] == "r0.wav") & (table["start"] >= half)).sum()
    assert make_events(options(tmp_path)) == 0
    out, told = capsys.readouterr()
    assert "1 truncated recording, first r0.wav: used up to the end" in told
    assert f"left out, in the missing part of a recording: {lost}, the first " in out
    table = pd.read_csv(tmp_path / "data" / "audio" / "events.csv")
    own = table[table["file"].str.endswith("r0.wav")]
    assert own["end"].max() <= half


def test_a_folder_of_recordings_and_their_tables_is_told_what_makes_a_dataset(tmp_path):
    for name in ("a.wav", "a.Table.1.selections.txt"):
        (tmp_path / name).write_text("x\n")
    with refused("annotation tables become a dataset by .* events AUDIO="):
        load(SourceOptions(dataset=str(tmp_path)))


@pytest.mark.parametrize("table", ["events.csv", "raven/r0.Table.1.selections.txt"])
def test_a_folder_of_audio_beside_annotations_is_no_class(tmp_path, table):
    write_recordings(tmp_path, recordings=2)
    (tmp_path / table).parent.mkdir(exist_ok=True)
    (tmp_path / "events.csv").rename(tmp_path / table)
    tables = tmp_path / table if table == "events.csv" else tmp_path / "raven"
    with refused(
        r"one class only \(audio\), next to a table; annotation tables become a dataset"
        rf" by make events AUDIO={tmp_path} TABLES={tables}$"
    ):
        load(SourceOptions(dataset=str(tmp_path), data=tmp_path / "data"))
    proposed = options(tmp_path, audio=tmp_path, tables=tables, name="typed")
    assert make_events(proposed) == 0


def test_a_table_of_events_is_told_the_folder_of_its_recordings(tmp_path):
    write_recordings(tmp_path, recordings=1)
    given = SourceOptions(dataset=str(tmp_path / "events.csv"))
    with refused(f"events AUDIO={tmp_path} TABLES={tmp_path}/events.csv$"):
        load(given)
    (tmp_path / "audio" / "r0.wav").unlink()
    with refused(r"events AUDIO=FOLDER .*/events.csv   \(FOLDER: the recordings\)$"):
        load(given)
