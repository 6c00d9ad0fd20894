"""The intermediates of a clip are computed once."""

import numpy as np

from pipeline.clip import Clip, shared


class Counting(Clip):
    """A clip that counts its work."""

    calls = 0

    @shared
    def doubled(self, factor: int = 2) -> float:
        self.calls += 1
        return 1.0 * factor


def test_each_set_of_arguments_is_computed_once_a_clip() -> None:
    clip = Counting(np.zeros(4096, np.float32), 8000)
    assert clip.doubled() == clip.doubled(2) == clip.doubled(factor=2) == 2
    assert clip.doubled(3) == 3
    assert clip.calls == 2
