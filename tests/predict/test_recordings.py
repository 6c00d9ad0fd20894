"""Windows and resampling block by block, and the predictions of windows."""

import weakref

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from featurestack.predict.files import resampled, windows_of
from tests.predict.test_clips import ask
from tests.refusal import refused
from tests.train.sounds import RATE, sound


@pytest.mark.parametrize("length", [0, 1, 100, 101, 150, 151, 1234])
@pytest.mark.parametrize("hop", [50, 100, 37])
def test_windows_are_those_of_the_whole_recording(length, hop):
    y = np.arange(1, length + 1, dtype=np.float32)
    chance = np.random.default_rng(length)
    blocks = np.split(y, np.sort(chance.integers(0, length + 1, length // 50)))
    *found, (span, last) = windows_of(blocks, 10, 100, hop)
    for number, (own, samples) in enumerate(found):
        assert np.array_equal(samples, y[number * hop : number * hop + 100])
        assert own == (number * hop / 10, (number * hop + 100) / 10)
    assert np.array_equal(last, y[-100:])
    assert span == (max(0, length - 100) / 10, length / 10)
    # none but the last reaches the end
    assert len(found) == max(0, -(-(length - 100) // hop))


def test_a_long_recording_is_never_held_whole():
    alive = []

    def blocks():
        for number in range(200):
            yield (block := np.full(80_000, number, np.float32))
            alive.append(weakref.ref(block))

    for _ in windows_of(blocks(), 8000, 40_000, 40_000):
        assert sum(block() is not None for block in alive) <= 2


@pytest.mark.parametrize("rate", [8000, 44_100, 16_000])
def test_blocks_are_resampled_as_the_whole_is(rate):
    y = np.random.default_rng(0).normal(0, 0.1, 3 * rate).astype(np.float32)
    streamed = np.concatenate(list(resampled(np.split(y, 30), rate, 16_000)))
    whole = soxr.resample(y, rate, 16_000)
    assert len(streamed) == len(whole) and np.abs(streamed - whole).max() < 1e-5


def record(file, *parts):
    """A recording of these parts, one after the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.concatenate(parts), RATE)
    return file


def windows(run, capsys, **given):
    """The table of windows."""
    answers = run.path.parents[2] / "answers.csv"
    ask(run, out=answers, **given)
    return pd.read_csv(answers, keep_default_na=False)


def test_each_window_of_each_recording_has_its_class(sounding, tmp_path, capsys):
    parts = sound("hiss", 50, seconds=3), sound("tone", 50, seconds=3)
    record(tmp_path / "field.wav", *parts, np.zeros(2 * RATE))
    # as long a name as a file system takes
    record(tmp_path / ("n" * 251 + ".wav"), sound("tone", 50, seconds=1.5))
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    table = windows(sounding, capsys, audio=tmp_path, hop=1.0, gate=-60.0)
    assert list(table) == ["file", "start", "end", "predicted", *sounding.classes]
    field = table[table["file"] == str(tmp_path / "field.wav")]
    assert field["start"].tolist() == [*range(8)]
    assert field["end"].tolist() == [*range(1, 9)]
    assert field["predicted"].tolist() == ["hiss"] * 3 + ["tone"] * 3 + [""] * 2
    other = table[table["file"] != str(tmp_path / "field.wav")]
    assert other["start"].tolist() == [0.0, 0.5]
    assert ask(sounding, audio=tmp_path, hop=1.0) == 1
    out, err = capsys.readouterr()
    assert "bad.wav: not audio" in err and "1 of 3 files failed" in err
    assert out.splitlines()[0].split() == ["file", "start", "end", "1.", "2.", "3."]


def test_windows_are_as_long_as_the_median_clip_if_many_were_padded(
    short, tmp_path, capsys
):
    file = record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    median = short.training.clip_seconds
    assert 0 < median < short.training.duration
    rows = windows(short, capsys, audio=file, hop=0.1)
    assert (rows["end"] - rows["start"]).tolist() == pytest.approx(
        [median] * len(rows), abs=2e-3
    )


def test_windows_with_gaps_between_them_are_refused(sounding, tmp_path):
    file = record(tmp_path / "tone.wav", sound("tone", 50))
    with refused("at most the 1 seconds of a window"):
        ask(sounding, audio=file, hop=1.5)
