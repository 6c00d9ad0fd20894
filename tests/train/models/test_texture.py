"""Texture statistics and the network on them."""

import math

import pytest
import torch

from featurestack.train.models.texture import (
    BANDS,
    RANGES,
    TextureNet,
    TextureStatistics,
    range_edges,
)


def test_mean_and_deviation_are_those_of_each_band():
    x = torch.randn(2, 3, 64, 108, generator=torch.Generator().manual_seed(0))
    statistics = TextureStatistics(108)(x)
    bands = x.unflatten(2, (BANDS, 2)).mean(3)
    assert statistics.shape == (2, 3 * BANDS * (2 + RANGES))
    torch.testing.assert_close(statistics[:, : 3 * BANDS], bands.mean(3).flatten(1))
    torch.testing.assert_close(
        statistics[:, 3 * BANDS : 6 * BANDS], bands.std(3).flatten(1)
    )


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_statistics_that_a_channel_owns_are_those_that_change_with_it(channel):
    texture = TextureStatistics(108, untimed=((1, 4, 5),))
    x = torch.randn(1, 3, 64, 108, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, channel] *= 2
    differs = texture(x)[0] != texture(changed)[0]
    assert (texture.owners(3) == channel).tolist() == differs.tolist()


@pytest.mark.parametrize("periods", [1, 7, 40])
def test_a_modulated_band_shows_in_the_range_of_its_frequency(periods):
    frames = 216
    x = torch.zeros(1, 1, BANDS, frames)
    x[0, 0, 5] = torch.sin(2 * math.pi * periods * torch.arange(frames) / frames)
    texture = TextureStatistics(frames)
    modulation = texture(x)[0, 2 * BANDS :].view(BANDS, RANGES)
    found = int(modulation[5].argmax())
    low, high = texture.edges[found : found + 2]
    assert low < periods <= high  # bin 0 is one period a clip
    # a constant band has no modulation
    assert (modulation[4] == modulation[4][0]).all()


@pytest.mark.parametrize("bins", [2, 3, 10, 54, 108, 215])
def test_ranges_cover_every_modulation_frequency_once(bins):
    edges = range_edges(bins)
    assert edges[0] == 0 and edges[-1] == bins
    assert edges == sorted(set(edges))


def test_statistics_are_computed_in_full_precision_under_autocast():
    network = TextureNet(1, 3, 108, 16).eval()
    x = torch.randn(2, 1, 64, 108)
    expected = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x), expected)
