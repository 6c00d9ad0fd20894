"""The command `windows`: annotated recordings become a dataset of windows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestack.base.own_files import OwnFiles
from featurestack.cli.parser import parse
from featurestack.extras.recordings import DETECTED, WindowsOptions
from featurestack.extras.recordings.windows import (
    counting_length,
    cut_windows,
    kept_apart,
    label_windows,
    make_windows,
    neighbours,
    usual_length,
)
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from tests.extras.recordings.annotated_tones import SECONDS, write_recordings
from tests.refusal import refused

COLUMNS = ["file", "start", "end", "label"]


def options(folder, **given):
    tables = {"audio": folder / "audio", "tables": folder / "marks.csv"}
    usual = {"data": folder / "data", "name": "songs"}
    return WindowsOptions(**{**tables, **usual, **given})


def made(folder, name="songs"):
    table = folder / "data" / name / f"{name}.csv"
    return pd.read_csv(table, keep_default_na=False)


def test_a_command_says_which_option_it_lacks():
    with refused("^AUDIO= is missing: the recordings, a folder"):
        parse(WindowsOptions, [])


def test_windows_cover_each_recording_and_the_last_ends_with_it():
    windows = cut_windows({"a.wav": 2.2, "b.wav": 0.4}, 1.0, 0.5)
    assert windows.to_numpy().tolist() == [
        ["a.wav", 0.0, 1.0],
        ["a.wav", 0.5, 1.5],
        ["a.wav", 1.0, 2.0],
        ["a.wav", 1.2, 2.2],
        ["b.wav", 0.0, 0.4],
    ]


def test_a_window_has_a_label_by_half_of_the_event_or_of_itself():
    windows = cut_windows({"a.wav": 8.0, "b.wav": 1.0}, 1.0, 1.0)
    events = [
        ("a.wav", 0.9, 1.1, "half"),  # half in 0 to 1, half in 1 to 2
        ("a.wav", 2.6, 3.1, "most"),  # 0.4 of 0.5 s in 2 to 3
        ("a.wav", 4.5, 6.4, "long"),  # fills half of 4 to 5, all of 5 to 6, not 6 to 7
        ("a.wav", 5.2, 5.3, "both"),
    ]
    labels, doubtful = label_windows(windows, pd.DataFrame(events, columns=COLUMNS))
    expected = ["half", "half", "most", "", "long", "both;long", "", "", ""]
    assert labels.tolist() == expected
    assert np.flatnonzero(doubtful).tolist() == [3, 6]


def test_no_event_is_lost_if_windows_follow_by_at_most_their_length():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 99, 2000)
    end = np.minimum(start + rng.exponential(1, 2000), 100)
    numbers = [str(number) for number in range(2000)]
    events = pd.DataFrame(
        {"file": "a", "start": start, "end": end, "label": numbers},
    )
    for length in (0.1, 0.7, 3.0):
        for hop in (length, length / 3):
            windows = cut_windows({"a": 100.0}, length, hop)
            labels, _ = label_windows(windows, events)
            assert {*labels.str.split(";").explode()} >= {*numbers}, (length, hop)


def test_neighbours_that_are_kept_apart_are_separate_wherever_windows_begin():
    rng = np.random.default_rng(1)
    for _ in range(200):
        lasts, other, gap = rng.uniform(0.02, 0.3, 3)
        phase = rng.uniform(0, 0.5)
        first, second = 1 + phase, 1 + phase + lasts + gap
        rows = [("a", first, first + lasts, "x"), ("a", second, second + other, "x")]
        events = pd.DataFrame(rows, columns=COLUMNS)
        pairs = neighbours(events)
        assert pairs["gap"].tolist() == pytest.approx([gap])
        length = counting_length(pairs)
        assert kept_apart(pairs, length, length / 2) == 1
        assert kept_apart(pairs, length + 0.002, length / 2 + 0.001) == 0
        windows = cut_windows({"a": 3.0}, length, length / 2)
        labels, _ = label_windows(windows, events)
        middle = (windows["start"] + windows["end"]) / 2
        between = labels[middle.between(first + lasts, second)]
        assert (between == "").any()


def test_neighbours_that_are_too_close_for_counts_are_said(tmp_path, capsys):
    write_recordings(tmp_path, recordings=2)
    make_windows(options(tmp_path, length=0.25))
    assert "are no counts" not in capsys.readouterr().out
    rows = [f"r0.wav,{0.2 * n:.2f},{0.2 * n + 0.1:.2f},high" for n in range(20)]
    rows += ["r0.wav,6,6.1,low", "r0.wav,6.1,6.2,low"]
    (tmp_path / "marks.csv").write_text("\n".join(["file,start,end,label", *rows]))
    make_windows(options(tmp_path, name="close"))
    out = capsys.readouterr().out
    assert "100 % of 19 pairs of neighbouring events with one label lie too" in out
    assert "LENGTH=0.133 HOP=0.0665 keeps 95 % apart (1 more pairs touch" in out
    make_windows(options(tmp_path, name="apart", length=0.133, hop=0.0665))
    assert "are no counts" not in capsys.readouterr().out


def test_the_length_is_what_most_events_fit_into():
    lasts = pd.DataFrame({"start": 0.0, "end": [*[0.4] * 9, 90.0]})
    assert usual_length(lasts) == pytest.approx(9.36, abs=5)
    assert usual_length(lasts.assign(end=0.1)) == 0.25
    assert usual_length(lasts.assign(end=60.0)) == 5.0


def test_the_table_is_an_ordinary_dataset_of_clips_with_several_labels(
    tmp_path, capsys
):
    marks = write_recordings(tmp_path)
    assert make_windows(options(tmp_path, length=0.5)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"8 recordings, 56 s, {len(marks)} events; ")
    assert "windows of 0.5 s every 0.25 s" in out
    next_ = f"features DATASET={tmp_path}/data/songs/songs.csv"
    assert next_ in out.splitlines()[-1]
    table = made(tmp_path)
    assert {*table["label"]} == {"", "high", "low", "high;low"}
    assert {*table["group"]} == {f"r{number}" for number in range(8)}
    given = {"dataset": str(tmp_path / "data/songs/songs.csv")}
    dataset = load(SourceOptions(**given, data=tmp_path / "data"))
    assert len(dataset.table) == len(table)
    assert (dataset.table.groupby("group")["fold"].nunique() == 1).all()


def test_recordings_without_a_table_are_left_out_or_empty(tmp_path, capsys):
    table = write_recordings(tmp_path, recordings=4)
    table[table["file"] != "r3.wav"].to_csv(tmp_path / "marks.csv", index=False)
    make_windows(options(tmp_path, name="three"))
    out = capsys.readouterr().out
    assert "left out, no table: 1 recording, r3.wav; EMPTY=1 if they hold no" in out
    assert "r3" not in {*made(tmp_path, "three")["group"]}
    make_windows(options(tmp_path, name="four", empty=True))
    four = made(tmp_path, "four")
    assert {*four["label"][four["group"] == "r3"]} == {""}


def recordings_of(folder, name):
    return sorted({Path(file).stem for file in made(folder, name)["filename"]})


def test_a_recording_with_an_uncorrected_table_is_never_taken_for_silent(
    tmp_path, capsys
):
    table = write_recordings(tmp_path, recordings=3)
    folder = tmp_path / "tables"
    folder.mkdir()
    table[table["file"] == "r0.wav"].to_csv(folder / "r0.csv", index=False)
    text = table[table["file"] == "r1.wav"].to_csv(index=False)
    OwnFiles(folder / "seen", DETECTED).write({"raven/r1.csv": text})
    for empty in (False, True):
        name = f"empty{empty}"
        made_of = options(tmp_path, tables=folder, name=name, empty=empty)
        make_windows(made_of)
        out = capsys.readouterr().out
        assert "with a table that only predict wrote: 1 recording, r1.wav" in out
        assert recordings_of(tmp_path, name) == ["r0", "r2"][: 1 + empty]
    # it is right as it is
    (folder / "r1.csv").write_text(text)
    make_windows(options(tmp_path, tables=folder, name="confirmed"))
    assert recordings_of(tmp_path, "confirmed") == ["r0", "r1"]


def test_recordings_of_one_site_are_one_group(tmp_path):
    write_recordings(tmp_path, recordings=4)
    with refused("GROUP=bird has no parentheses"):
        make_windows(options(tmp_path, group="bird"))
    make_windows(options(tmp_path, group="r([0-9])[0-9]*"))
    assert {*made(tmp_path)["group"]} == {*range(4)}


def test_a_single_recording_has_groups_of_its_own_that_share_no_window(
    tmp_path, capsys
):
    write_recordings(tmp_path, recordings=1)
    make_windows(options(tmp_path, length=0.5))
    assert "one recording: its 5 parts serve as groups" in capsys.readouterr().out
    table = made(tmp_path)
    assert table["group"].nunique() == 5
    block = SECONDS / 5
    inside = table["start"] // block == (table["end"] - 1e-6) // block
    assert inside.all()


def test_a_dataset_with_features_or_changes_of_the_user_is_not_replaced(tmp_path):
    write_recordings(tmp_path)
    assert make_windows(options(tmp_path)) == 0
    assert make_windows(options(tmp_path)) == 0  # the same
    assert make_windows(options(tmp_path, length=1.0)) == 0  # nothing depends on it yet
    file = tmp_path / "data" / "songs" / "songs.csv"
    before = file.read_text()
    file.write_text(before + "\n")
    with refused(
        r"songs.csv already exists with other content: .*mv .*/songs.csv FOLDER"
    ):
        make_windows(options(tmp_path))
    file.write_text(before)
    (file.parent / "features").mkdir()
    with refused("songs.csv already exists with other content"):
        make_windows(options(tmp_path))
    assert file.read_text() == before
    with refused("esc50 has another meaning"):
        make_windows(options(tmp_path, name="esc50"))


def test_wrong_requests_write_nothing(tmp_path):
    write_recordings(tmp_path, recordings=2)
    with refused("audi does not exist: .*; did you mean '.*audio'"):
        make_windows(options(tmp_path, audio=tmp_path / "audi"))
    with refused("mark.csv does not exist; did you mean '.*marks.csv'"):
        make_windows(options(tmp_path, tables=tmp_path / "mark.csv"))
    with refused("HOP=2: expected at most LENGTH=1"):
        make_windows(options(tmp_path, length=1.0, hop=2.0))
    with (tmp_path / "marks.csv").open("a") as table:
        table.write("r1.wav,3,2,low\n")
    with refused("marks.csv, line 16: the event lasts from '3' to '2'"):
        make_windows(options(tmp_path))
    assert not (tmp_path / "data").exists()


def test_a_damaged_recording_is_named_and_the_others_are_cut(tmp_path, capsys):
    write_recordings(tmp_path, recordings=3)
    (tmp_path / "audio" / "r2.wav").write_bytes(b"nothing")
    half = (tmp_path / "audio" / "r0.wav").read_bytes()
    (tmp_path / "audio" / "r0.wav").write_bytes(half[: len(half) // 2])
    assert make_windows(options(tmp_path)) == 1
    err = capsys.readouterr().err
    assert "r0.wav: truncated" in err and "r2.wav: not audio" in err
    files = made(tmp_path)["filename"]
    assert {*files} == {str(tmp_path / "audio" / "r1.wav")}


def test_annotations_given_as_a_dataset_are_told_what_makes_one(tmp_path):
    write_recordings(tmp_path, recordings=2)
    given = SourceOptions(dataset=str(tmp_path / "marks.csv"))
    with refused(f"windows AUDIO=FOLDER TABLES={tmp_path}/marks.csv makes a dataset$"):
        load(given)


@pytest.mark.parametrize("name", ["folds", "features", "audio", "synth"])
def test_reserved_names_are_refused_at_the_door(tmp_path, name):
    with refused("has another meaning: give NAME=, as in my-"):
        make_windows(options(tmp_path, name=name))
    assert not (tmp_path / "data" / name).exists()
