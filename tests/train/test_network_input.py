"""Known answers of the way from stored values to a network's input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featurestack.train.network_input import (
    KINDS,
    InputSpec,
    example_channel,
    resize,
    resizing,
)

MEL = example_channel("mel", rows=2, frames=431)


def test_a_clip_has_its_own_frames_and_two_at_least():
    spec = InputSpec(KINDS["linear"], (MEL,), (1, 1), drop_padding=True)

    def own(filled, **changes):
        return spec.own_frames(replace(MEL, **changes), np.array(filled)).tolist()

    assert own([1e-5, 0.1, 0.5, 1.0]) == [2, 44, 216, 431]
    assert own([0.1, 1.0], frames=1) == [1, 1]
    assert own([0.1], frame_unit="Hz") == [431]


def test_mean_and_deviation_survive_half_precision():
    values = np.full((1, 2, 100_000), -80, np.float16)
    values[0, 1, ::2] = -79
    spec = InputSpec(
        KINDS["linear"], (replace(MEL, frames=100_000),), (1, 1), drop_padding=False
    )
    x = spec.prepare([values], [None], np.ones(1))
    assert x.shape == (1, *spec.shape) and x.dtype == torch.float32
    assert np.allclose(x.flatten(), [-80, -79.5, 0, 0.5], atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "widths"), [("image", [1, 1]), ("vector", [4, 3]), ("linear", [4, 3])]
)
def test_the_width_of_each_channel_is_what_its_kind_prepares(kind, widths):
    channels = (MEL, example_channel("embedding", rows=3, frames=1))
    spec = InputSpec(KINDS[kind], channels, (1, 1), drop_padding=False)
    assert spec.widths == widths
    values = [torch.ones(5, channel.rows, channel.frames) for channel in channels]
    prepared = [
        spec.kind.prepare(own, channel, spec.grid)
        for own, channel in zip(values, channels)
    ]
    assert [x.shape for x in prepared] == [(5, width, 1, 1) for width in widths]


def test_resizing_is_linear_between_values_and_the_same_when_exported():
    values = torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(0))
    small = resize(values, (6, 10))
    # the exported form
    torch.testing.assert_close(resizing(12, 6).T @ values @ resizing(40, 10), small)
    ramp = torch.arange(8.0).view(1, 1, 8)
    assert torch.equal(resize(ramp, (4, 8)), ramp.expand(1, 4, 8))
    assert resize(ramp, (1, 16))[0, 0, 1:-1].diff().allclose(torch.tensor(0.5))
