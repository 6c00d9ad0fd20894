"""Texture statistics and the networks on them."""

import math

import pytest
import torch

from featurestack.train.models.vectors import (
    BANDS,
    RANGES,
    TextureNet,
    TextureStatistics,
)
from featurestack.train.network_input import Plane

ROWS, FRAMES = 64, 108
SPECTRUM = Plane(ROWS, FRAMES, timed=True)
CEPSTRUM = Plane(40, FRAMES, timed=True)
SINGLE = Plane(1, FRAMES, timed=True)
RATES = Plane(4, 5, timed=False)


def maps(channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, ROWS, FRAMES, generator=generator)


def test_mean_deviation_and_maximum_are_those_of_each_row():
    x = maps(1)
    statistics = TextureStatistics((SPECTRUM,), FRAMES)(x)
    rows = x[:, 0]
    expected = torch.cat([rows.mean(2), rows.std(2), rows.amax(2)], dim=1)
    torch.testing.assert_close(statistics[:, : 3 * ROWS], expected)


def test_rows_that_the_grid_repeats_are_averaged_back():
    x = maps(1)
    statistics = TextureStatistics((CEPSTRUM,), FRAMES)(x)
    rows = torch.nn.functional.adaptive_avg_pool2d(x[:, 0], (40, FRAMES))
    torch.testing.assert_close(statistics[:, :40], rows.mean(2))
    assert statistics.shape == (2, 3 * 40 + BANDS * RANGES)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_statistics_of_a_channel_are_those_that_change_with_it(channel):
    texture = TextureStatistics((SPECTRUM, RATES, SINGLE), FRAMES)
    x = maps(3)[:1]
    changed = x.clone()
    changed[:, channel] *= 2
    differs = texture(x)[0] != texture(changed)[0]
    owners = torch.arange(3).repeat_interleave(torch.tensor(texture.sizes))
    assert (owners == channel).tolist() == differs.tolist()


@pytest.mark.parametrize("shift", [1, 40])
def test_a_circular_shift_in_time_changes_no_statistic(shift):
    texture = TextureStatistics((SPECTRUM, CEPSTRUM), FRAMES)
    x = maps(2)
    torch.testing.assert_close(
        texture(x.roll(shift, dims=3)), texture(x), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("periods", [1, 7, 40])
def test_a_modulated_band_shows_in_the_range_of_its_frequency(periods):
    frames = 216
    x = torch.zeros(1, 1, BANDS, frames)
    x[0, 0, 5] = torch.sin(2 * math.pi * periods * torch.arange(frames) / frames)
    texture = TextureStatistics((Plane(BANDS, frames, timed=True),), frames)
    modulation = texture(x)[0, 3 * BANDS :].view(BANDS, RANGES)
    found = int(modulation[5].argmax())
    low, high = texture.edges[found : found + 2]
    assert low < periods <= high  # bin 0 is one period a clip
    # a constant band has no modulation
    assert (modulation[4] == modulation[4][0]).all()


def test_statistics_are_computed_in_full_precision_under_autocast():
    network = TextureNet((SPECTRUM,), 3, FRAMES, 16, members=2).eval()
    x = maps(1)
    expected = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x), expected)
