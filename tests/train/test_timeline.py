"""Windows and resampling block by block; where timelines are kept."""

import weakref

import numpy as np
import pandas as pd
import pytest
import soxr

from featurestack.train.timeline import (
    TimelineFolder,
    resampled,
    time_edges,
    windows_of,
)


def test_each_recording_has_a_place_of_its_own(tmp_path):
    names = ["a.wav", "deep/a.wav", "b.wav", "b.flac", "c.1.ogg"]
    places = TimelineFolder(tmp_path).places(names)
    relative = {
        name: str(place.relative_to(tmp_path)) for name, place in places.items()
    }
    assert relative == {
        "a.wav": "a",
        "deep/a.wav": "deep/a",
        "b.wav": "b.wav",
        "b.flac": "b.flac",
        "c.1.ogg": "c.1",
    }


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
    assert np.array_equal(last, y[-100:]) and span == (
        max(0, length - 100) / 10,
        length / 10,
    )
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


def test_a_time_line_is_drawn_by_the_middles_of_its_windows():
    start = np.arange(0, 5.25, 0.25)
    spans = pd.DataFrame({"file": "a", "start": start, "end": start + 1})
    edges = time_edges(spans)
    assert edges[0] == 0
    assert edges[-1] == 6
    third = list(start).index(3.5)
    assert edges[third] == 3.875
    assert edges[third + 1] == 4.125
