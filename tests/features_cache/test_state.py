"""The state word: what it says, and that a kill between any two writes leaves a clip not done."""

import numpy as np
import pytest

from features_cache import state
from features_cache.layout import read_header
from features_cache.state import CRC, FINGERPRINT, forget, intact, state_word, states_at, write_clip


@pytest.fixture
def file(cache):
    return read_header(cache.folder / "mine.h5")


def test_a_word_is_the_fingerprint_above_the_crc():
    word = np.uint64(state_word(0xABCD1234, np.frombuffer(b"123456789", np.uint8)))
    assert word >> FINGERPRINT == 0xABCD1234
    assert word & CRC == 0xCBF43926  # the CRC-32 of these digits in every textbook


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_clip_whose_writing_was_cut_off_is_not_done(file, monkeypatch, writes):
    before = file.map().copy(), file.map(state=True).copy()
    whole, done = state.write_at, []

    def stops(descriptor, data, offset):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(offset)
        whole(descriptor, data, offset)

    monkeypatch.setattr(state, "write_at", stops)
    values = before[0][3] + np.float16(1)
    with file.path.open("r+b", buffering=0) as opened, pytest.raises(KeyboardInterrupt):
        write_clip(opened.fileno(), file, 3, values, state_word(7, values))
    states = file.map(state=True)
    assert states[3] == (0 if writes else before[1][3])
    others = np.arange(8) != 3
    np.testing.assert_array_equal(states[others], before[1][others])
    np.testing.assert_array_equal(file.map()[others], before[0][others])


def test_forgotten_clips_have_state_0_and_damaged_ones_are_not_intact(file):
    states = file.map(state=True).copy()
    assert intact(file.map(), range(8), states).all()
    with file.path.open("r+b") as opened:
        opened.seek(file.values_offset + 5 * file.clip_bytes)
        opened.write(b"\xff")
    assert intact(file.map(), range(8), states).tolist() == [True] * 5 + [False] + [True] * 2
    forget(file, np.array([1, 6]))
    assert np.flatnonzero(file.map(state=True) == 0).tolist() == [1, 6]


def test_a_clip_without_a_row_has_state_0():
    states = np.array([5, 6, 7], np.uint64)
    assert states_at(states, np.array([2, -1, 0])).tolist() == [7, 0, 5]
