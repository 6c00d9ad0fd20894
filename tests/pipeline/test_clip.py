"""The intermediates of a clip are computed once."""

import numpy as np

from pipeline.clip import Clip, shared


def test_each_set_of_arguments_is_computed_once_a_clip():
    calls = []

    @shared
    def recorded(clip, factor):
        calls.append(factor)

    for clip in (Clip(np.zeros(1), 8000), Clip(np.zeros(1), 8000)):
        for factor in (2, 3, 2):
            recorded(clip, factor)
    assert calls == [2, 3, 2, 3]
