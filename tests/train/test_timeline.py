"""A recording of three sounds one after the other is told apart in time, in all three files."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from commandline import RequestError
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask
from train.timeline import Row, clock, merge, targets


def record(file: Path, *labels: str) -> Path:
    soundfile.write(file, np.concatenate([sound(label, 50, seconds=3) for label in labels]), RATE)
    return file


def test_writes_csv_labels_and_picture(sounding, tmp_path, capsys):
    file = record(tmp_path / "field.wav", "hiss", "tone", "clicks")
    assert ask(sounding, audio=file, hop=0.5, reports=tmp_path / "reports") == 0
    said = capsys.readouterr().out
    folder = tmp_path / "reports" / "little" / "timelines"
    with (folder / "field.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [float(row["start"]) for row in rows] == [0.5 * n for n in range(17)]
    assert float(rows[-1]["end"]) == 9.0
    heard = {(float(row["start"])): row["predicted"] for row in rows}
    assert [heard[t] for t in (0.5, 1.5, 3.5, 4.5, 6.5, 7.5)] == [
        *("hiss", "hiss", "tone", "tone", "clicks", "clicks")
    ]
    labels = [line.split("\t") for line in (folder / "field.txt").read_text().splitlines()]
    assert labels[0][0] == "0.000" and labels[-1][1] == "9.000"
    assert all(a[1] == b[0] for a, b in pairwise(labels))
    assert [label for *_, label in labels if label in said] == [label for *_, label in labels]
    assert (folder / "field.png").read_bytes().startswith(b"\x89PNG")


def test_an_unreadable_file_is_named_and_the_rest_done(sounding, tmp_path, capsys):
    record(tmp_path / "good.wav", "tone")
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    assert ask(sounding, audio=tmp_path, hop=1.0, reports=tmp_path / "reports") == 1
    assert "bad.wav: not audio" in capsys.readouterr().err
    assert (tmp_path / "reports" / "little" / "timelines" / "good.csv").exists()


def test_each_file_has_a_place_of_its_own(tmp_path):
    files = [Path("in/a.wav"), Path("in/deep/a.wav"), Path("in/b.wav"), Path("in/b.flac"), Path("in/c.1.ogg")]
    places = targets(files, tmp_path)
    told = [str(place.relative_to(tmp_path)) for place in places]
    assert told == ["a", "deep/a", "b.wav", "b.flac", "c.1"]
    assert targets(files[1:2], tmp_path) == [tmp_path / "a"]


def test_a_hop_longer_than_the_window_would_leave_gaps(sounding, tmp_path):
    with pytest.raises(RequestError, match="from 0 to the 1 of a window"):
        ask(sounding, audio=record(tmp_path / "x.wav", "tone"), hop=1.5, reports=tmp_path)


def test_stretches_of_one_class_are_merged():
    answers = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    rows = [Row(float(i), i + 2.0, answer) for i, answer in enumerate(answers)]
    spans = merge(rows, ["a", "b"])
    assert [(start, end, name) for start, end, name, _ in spans] == [(0.0, 2.0, "a"), (2.0, 4.0, "b")]
    assert spans[0][3] == pytest.approx(0.8)


def test_clock():
    assert clock(3725.25) == "1:02:05.2"
