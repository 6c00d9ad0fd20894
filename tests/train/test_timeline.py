"""A recording of three classes one after the other is predicted in time, in all three files; its windows."""

import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import audio
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask
from train.timeline import merge_windows, output_paths, resampled, windows


def test_writes_csv_labels_and_figure(sounding, tmp_path, capsys):
    parts = sound("hiss", 50, seconds=3), sound("tone", 50, seconds=3), np.zeros(2 * RATE)
    soundfile.write(tmp_path / "field.wav", np.concatenate(parts), RATE)
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    assert ask(sounding, audio=tmp_path, hop=1.0, gate=-60.0, csv=True, reports=tmp_path / "reports") == 1
    file = tmp_path / "reports" / "little" / "timelines" / "field"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    rows = pd.read_csv(file.with_suffix(".csv"), keep_default_na=False)
    assert rows["start"].tolist() == [*range(8)]
    assert rows["predicted"].tolist() == ["hiss"] * 3 + ["tone"] * 3 + [""] * 2
    labels = [line.split("\t")[:3] for line in file.with_suffix(".txt").read_text().splitlines()]
    assert labels == [["0.000", "3.000", "hiss"], ["3.000", "6.000", "tone"]]
    out, err = capsys.readouterr()
    assert [line.split()[2] for line in out.splitlines()] == ["hiss", "tone"]
    assert "bad.wav: not audio" in err and "CSV do not apply to HOP" in err


def test_each_file_has_a_place_of_its_own(tmp_path):
    files = [Path("in/a.wav"), Path("in/deep/a.wav"), Path("in/b.wav"), Path("in/b.flac"), Path("in/c.1.ogg")]
    places = [str(place.relative_to(tmp_path)) for place in output_paths(files, tmp_path)]
    assert places == ["a", "deep/a", "b.wav", "b.flac", "c.1"]


def test_windows_of_one_class_are_merged():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    spans = [(float(i), i + 2.0) for i in range(4)]
    segments = merge_windows(spans, ["a", "a", "b", ""], probabilities, ["a", "b"])
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
