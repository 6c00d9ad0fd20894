"""Windows cover a sound without a gap, whatever the blocks it comes in; resampling leaves no seam."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from pipeline import audio
from train.windows import PCM, pcm_blocks, resampled, windows


def pieces(y, sizes):
    start = 0
    while start < len(y):
        size = next(sizes)
        yield y[start : start + size]
        start += size


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 150, 151, 1234])
@pytest.mark.parametrize("hop", [50, 100, 37])
def test_windows_are_those_of_the_whole_sound(length, hop):
    y = np.arange(1, length + 1, dtype=np.float32)
    chance = np.random.default_rng(length)
    found = list(windows(pieces(y, iter(lambda: int(chance.integers(1, 90)), 0)), 10, 100, hop))
    for number, window in enumerate(found):
        own = y[number * hop : number * hop + 100]
        assert np.array_equal(window.y, np.pad(own, (0, 100 - len(own))))
        assert window.start == number * hop / 10
        assert window.end == (number * hop + len(own)) / 10
    assert found[-1].end == length / 10  # the end was reached
    assert len(found) == 1 or found[-2].end < length / 10  # and not twice


def test_an_hour_takes_no_more_memory_than_a_minute():
    def peak(minutes):
        blocks = (np.zeros(80_000, np.float32) for _ in range(6 * minutes))  # 10 s each
        tracemalloc.start()
        for window in windows(blocks, 8000, 40_000, 40_000):
            del window
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(60) < 1.1 * peak(1)


@pytest.mark.parametrize("rate", [8000, 44_100, 16_000])
def test_a_file_in_blocks_is_the_file_loaded_whole(tmp_path, monkeypatch, rate):
    y = np.random.default_rng(0).normal(0, 0.1, 3 * rate).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", y, rate, subtype="FLOAT")
    monkeypatch.setattr(audio, "BLOCK", 1000)
    streamed = np.concatenate(list(resampled(audio.blocks(tmp_path / "x.wav"), rate, 16_000)))
    whole = audio.load(tmp_path / "x.wav", 16_000, len(streamed))
    assert abs(len(streamed) - 48_000) <= 1
    assert np.abs(streamed - whole).max() < 1e-5


def test_blocks_at_the_same_rate_pass_as_they_are():
    block = np.ones(3, np.float32)
    assert list(resampled([block], 8000, 8000)) == [block]


@pytest.mark.parametrize("form", PCM)
def test_raw_pcm_becomes_samples(form):
    y = np.array([0, 0.5, -0.5, -1], np.float32)
    kind = PCM[form]
    raw = y.astype(kind) if kind.kind == "f" else (y * (np.iinfo(kind).max + 1.0)).astype(kind)
    stream = io.BytesIO(raw.tobytes() + b"\x01")  # half a sample behind the last
    assert np.allclose(np.concatenate(list(pcm_blocks(stream, form, 3))), y, atol=1e-4)
