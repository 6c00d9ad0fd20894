"""The intermediates of a clip: computed once, and what that saves."""

import time

import numpy as np
import pytest

from pipeline.clip import Clip, shared


class Counting(Clip):
    """A clip that counts its work."""

    calls = 0

    @shared
    def slow(self, factor: int = 2) -> float:
        self.calls += 1
        time.sleep(0.01)
        return 1.0 * factor

    @shared
    def slower(self) -> float:
        return self.slow() + self.slow(3)


@pytest.fixture
def clip() -> Counting:
    return Counting(np.zeros(4096, np.float32), 8000)


def test_each_set_of_arguments_is_computed_once_a_clip(clip: Counting) -> None:
    assert clip.slow() == clip.slow(2) == clip.slow(factor=2) == 2
    assert clip.slow(3) == 3
    assert clip.calls == 2


def test_the_saved_time_is_what_was_not_computed_again(clip: Counting) -> None:
    clip.slow()
    assert clip.seconds_saved == 0
    clip.slower()
    assert 0.01 <= clip.seconds_saved < 0.02 + 0.01  # one of the two that slower needs was there
    before = clip.seconds_saved
    clip.slower()
    assert clip.seconds_saved - before >= 0.02  # alone, slower would have taken both
