"""The texture of a clip, the network that reads it, and the two side by side."""

import math

import pytest
import torch

from train.models import build
from train.models.texture import (
    BANDS,
    RHYTHMS,
    SHARE,
    Texture,
    TextureNet,
    WithTexture,
    assemble,
    core,
    spread_edges,
)


def test_level_and_deviation_are_those_of_each_band() -> None:
    x = torch.randn(2, 3, 64, 108, generator=torch.Generator().manual_seed(0))
    texture = Texture(108)(x)
    bands = x.unflatten(2, (BANDS, 2)).mean(3)
    assert texture.shape == (2, 3 * BANDS * (2 + RHYTHMS))
    torch.testing.assert_close(texture[:, : 3 * BANDS], bands.mean(3).flatten(1))
    torch.testing.assert_close(texture[:, 3 * BANDS : 6 * BANDS], bands.std(3).flatten(1))


@pytest.mark.parametrize("periods", [1, 7, 40])
def test_a_band_that_throbs_shows_in_the_range_of_its_rhythm(periods: int) -> None:
    frames = 216
    x = torch.zeros(1, 1, BANDS, frames)
    x[0, 0, 5] = torch.sin(2 * math.pi * periods * torch.arange(frames) / frames)
    texture = Texture(frames)
    rhythm = texture(x)[0, 2 * BANDS :].view(BANDS, RHYTHMS)
    found = int(rhythm[5].argmax())
    low, high = texture.edges[found : found + 2]
    assert low < periods <= high  # bin 0 is one period a clip
    assert (rhythm[4] == rhythm[4][0]).all()  # a band at rest has no rhythm


def test_where_in_the_clip_something_happens_is_no_matter() -> None:
    x = torch.randn(1, 2, 64, 216, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Texture(216)(x.roll(50, dims=3)), Texture(216)(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bins", [2, 3, 10, 54, 108, 215])
def test_ranges_cover_every_rhythm_once(bins: int) -> None:
    edges = spread_edges(bins)
    assert edges[0] == 0 and edges[-1] == bins
    assert edges == sorted(set(edges))


def test_side_by_side_each_answers_for_itself_until_it_counts() -> None:
    network = assemble("cnn4", 2, 5, (64, 108), beside="on")
    assert isinstance(network, WithTexture)
    x = torch.randn(4, 2, 64, 108)
    assert network(x).shape == (4, 2, 5)
    network.eval()
    apart = (1 - SHARE) * network.network(x) + SHARE * network.texture(x)
    torch.testing.assert_close(network(x), apart)


def test_without_it_the_network_is_the_registrys() -> None:
    draw = torch.Generator().manual_seed
    plain = build("cnn4", 1, 3, (64, 108), generator=draw(3))
    for beside in ("on", "off"):
        inner = core(assemble("cnn4", 1, 3, (64, 108), beside=beside, generator=draw(3)))
        assert all(map(torch.equal, plain.state_dict().values(), inner.state_dict().values()))


def test_it_is_computed_in_full_precision_whatever_surrounds_it() -> None:
    network = TextureNet(1, 3, 108, 16).eval()
    x = torch.randn(2, 1, 64, 108)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(x), network(x.float()))
        assert network(x).dtype == torch.float32
