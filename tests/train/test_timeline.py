"""A recording of three classes one after the other is predicted in time, in all three files; its windows."""

import csv
import weakref
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline import audio
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask
from train.timeline import Row, merge_windows, output_paths, resampled, windows, write_timeline


def record(file: Path, *labels: str) -> Path:
    soundfile.write(file, np.concatenate([sound(label, 50, seconds=3) for label in labels]), RATE)
    return file


def test_writes_csv_labels_and_figure(sounding, tmp_path, capsys):
    file = record(tmp_path / "field.wav", "hiss", "tone", "clicks")
    assert ask(sounding, audio=file, hop=0.5, reports=tmp_path / "reports") == 0
    said = capsys.readouterr().out
    folder = tmp_path / "reports" / "little" / "timelines"
    with (folder / "field.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [float(row["start"]) for row in rows] == [0.5 * n for n in range(17)]
    assert float(rows[-1]["end"]) == 9.0
    predicted = {(float(row["start"])): row["predicted"] for row in rows}
    assert [predicted[t] for t in (0.5, 1.5, 3.5, 4.5, 6.5, 7.5)] == [
        *("hiss", "hiss", "tone", "tone", "clicks", "clicks")
    ]
    labels = [line.split("\t") for line in (folder / "field.txt").read_text().splitlines()]
    assert labels[0][0] == "0.000" and labels[-1][1] == "9.000"
    assert all(a[1] == b[0] for a, b in pairwise(labels))
    assert [label for *_, label in labels if label in said] == [label for *_, label in labels]
    assert (folder / "field.png").read_bytes().startswith(b"\x89PNG")


def test_no_class_is_a_formula_to_a_spreadsheet(tmp_path):
    classes = ['=HYPERLINK("x")', "-dog"]
    rows = [Row(0.0, 1.0, np.array([0.75, 0.25], np.float32)), Row(1.0, 2.0, np.zeros(2, np.float32), False)]
    write_timeline(rows, classes, tmp_path / "field", "field")
    with (tmp_path / "field.csv").open() as table:
        header, first, second = csv.reader(table)
    assert header == ["start", "end", "predicted", '\'=HYPERLINK("x")', "'-dog"]
    assert first[2:] == ['\'=HYPERLINK("x")', "0.75", "0.25"] and second[2] == ""


def test_an_unreadable_file_is_named_and_the_rest_done(sounding, tmp_path, capsys):
    record(tmp_path / "good.wav", "tone")
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    assert ask(sounding, audio=tmp_path, hop=1.0, reports=tmp_path / "reports") == 1
    assert "bad.wav: not audio" in capsys.readouterr().err
    assert (tmp_path / "reports" / "little" / "timelines" / "good.csv").exists()


def test_each_file_has_a_place_of_its_own(tmp_path):
    files = [Path("in/a.wav"), Path("in/deep/a.wav"), Path("in/b.wav"), Path("in/b.flac"), Path("in/c.1.ogg")]
    places = output_paths(files, tmp_path)
    told = [str(place.relative_to(tmp_path)) for place in places]
    assert told == ["a", "deep/a", "b.wav", "b.flac", "c.1"]
    assert output_paths(files[1:2], tmp_path) == [tmp_path / "a"]


def test_windows_of_one_class_are_merged():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    rows = [Row(float(i), i + 2.0, predicted) for i, predicted in enumerate(probabilities)]
    spans = merge_windows(rows, ["a", "b"])
    assert [(start, end, name) for start, end, name, _ in spans] == [(0.0, 2.0, "a"), (2.0, 4.0, "b")]
    assert spans[0][3] == pytest.approx(0.8)


def blocks_of(y, sizes):
    start = 0
    while start < len(y):
        size = next(sizes)
        yield y[start : start + size]
        start += size


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 150, 151, 1234])
@pytest.mark.parametrize("hop", [50, 100, 37])
def test_windows_are_those_of_the_whole_recording(length, hop):
    y = np.arange(1, length + 1, dtype=np.float32)
    chance = np.random.default_rng(length)
    found = list(windows(blocks_of(y, iter(lambda: int(chance.integers(1, 90)), 0)), 10, 100, hop))
    for number, window in enumerate(found):
        own = y[number * hop : number * hop + 100]
        assert np.array_equal(window.y, own)
        assert window.start == number * hop / 10
        assert window.end == (number * hop + len(own)) / 10
    assert found[-1].end == length / 10  # the end was reached
    assert len(found) == 1 or found[-2].end < length / 10  # and not twice


def test_a_long_recording_is_never_held_whole():
    alive = []

    def blocks():
        for number in range(200):
            yield (block := np.full(80_000, number, np.float32))
            alive.append(weakref.ref(block))

    for _ in windows(blocks(), 8000, 40_000, 40_000):
        assert sum(block() is not None for block in alive) <= 2


@pytest.mark.parametrize("rate", [8000, 44_100, 16_000])
def test_a_file_in_blocks_is_the_file_loaded_whole(tmp_path, monkeypatch, rate):
    y = np.random.default_rng(0).normal(0, 0.1, 3 * rate).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", y, rate, subtype="FLOAT")
    monkeypatch.setattr(audio, "BLOCK", 1000)
    streamed = np.concatenate(list(resampled(audio.blocks(tmp_path / "x.wav"), rate, 16_000)))
    whole = audio.load_clip(tmp_path / "x.wav", 16_000, len(streamed))
    assert abs(len(streamed) - 48_000) <= 1
    assert np.abs(streamed - whole).max() < 1e-5


def test_short_windows_and_those_without_an_answer(sounding, tmp_path, capsys):
    silence = np.zeros(2 * RATE)
    y = np.concatenate([sound("tone", 50, seconds=2), silence, sound("hiss", 50, seconds=2)])
    soundfile.write(tmp_path / "gap.wav", y, RATE)
    asked = {"hop": 0.5, "window": 0.5, "gate": -60.0, "reports": tmp_path / "reports"}
    assert ask(sounding, audio=tmp_path / "gap.wav", **asked) == 0
    folder = tmp_path / "reports" / "little" / "timelines"
    with (folder / "gap.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [float(row["start"]) for row in rows] == [0.5 * n for n in range(12)]
    answered = [bool(row["predicted"]) for row in rows]
    assert answered == [True] * 4 + [False] * 4 + [True] * 4
    labels = [line.split("\t") for line in (folder / "gap.txt").read_text().splitlines()]
    assert not any(float(start) < 4 and float(end) > 2 for start, end, _ in labels)
