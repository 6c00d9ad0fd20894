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
from train.timeline import merge_windows, output_paths, resampled, windows


def timeline(run, tmp_path, *parts, **given):
    """The rows of field.csv and the labels of field.txt, for a recording of these parts beside a bad file."""
    soundfile.write(tmp_path / "field.wav", np.concatenate(parts), RATE)
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    assert ask(run, audio=tmp_path, hop=0.5, reports=tmp_path / "reports", **given) == 1
    file = tmp_path / "reports" / "little" / "timelines" / "field"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    labels = [line.split("\t") for line in file.with_suffix(".txt").read_text().splitlines()]
    with file.with_suffix(".csv").open() as table:
        return list(csv.DictReader(table)), labels


def test_writes_csv_labels_and_figure(sounding, tmp_path, capsys):
    rows, labels = timeline(sounding, tmp_path, *(sound(name, 50, seconds=3) for name in ("hiss", "tone")))
    assert [float(row["start"]) for row in rows] == [0.5 * n for n in range(11)]
    predicted = {float(row["start"]): row["predicted"] for row in rows}
    assert [predicted[t] for t in (0.5, 1.5, 3.5, 4.5)] == ["hiss", "hiss", "tone", "tone"]
    assert labels[0][0] == "0.000" and labels[-1][1] == "6.000"
    assert all(a[1] == b[0] for a, b in pairwise(labels))
    out, err = capsys.readouterr()
    assert [line.split()[2] for line in out.splitlines()] == [label for *_, label in labels]
    assert "bad.wav: not audio" in err


def test_short_windows_and_those_without_an_answer(sounding, tmp_path):
    parts = sound("tone", 50, seconds=2), np.zeros(2 * RATE), sound("hiss", 50, seconds=2)
    rows, labels = timeline(sounding, tmp_path, *parts, window=0.5, gate=-60.0)
    assert [bool(row["predicted"]) for row in rows] == [True] * 4 + [False] * 4 + [True] * 4
    assert not any(float(start) < 4 and float(end) > 2 for start, end, _ in labels)


def test_each_file_has_a_place_of_its_own(tmp_path):
    files = [Path("in/a.wav"), Path("in/deep/a.wav"), Path("in/b.wav"), Path("in/b.flac"), Path("in/c.1.ogg")]
    places = [str(place.relative_to(tmp_path)) for place in output_paths(files, tmp_path)]
    assert places == ["a", "deep/a", "b.wav", "b.flac", "c.1"]


def test_windows_of_one_class_are_merged():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    spans = [(float(i), i + 2.0) for i in range(4)]
    segments = merge_windows(spans, np.array([0, 0, 1, -1]), probabilities, ["a", "b"])
    assert segments == [(0.0, 2.0, "a", pytest.approx(0.8)), (2.0, 3.0, "b", 0.8)]


@pytest.mark.parametrize("length", [0, 1, 100, 101, 150, 151, 1234])
@pytest.mark.parametrize("hop", [50, 100, 37])
def test_windows_are_those_of_the_whole_recording(length, hop):
    y = np.arange(1, length + 1, dtype=np.float32)
    chance = np.random.default_rng(length)
    blocks = np.split(y, np.sort(chance.integers(0, length + 1, length // 50)))
    found = list(windows(blocks, 10, 100, hop))
    for number, (span, samples) in enumerate(found):
        own = y[number * hop : number * hop + 100]
        assert np.array_equal(samples, own)
        assert span == (number * hop / 10, (number * hop + len(own)) / 10)
    ends = [end for (_, end), _ in found]
    assert ends[-1] == length / 10 and length / 10 not in ends[:-1]  # the end was reached, and not twice


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
