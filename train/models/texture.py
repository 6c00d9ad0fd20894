"""The texture of a clip: each band's level, how far it moves, and in which rhythm.

What tells rain from waves or an engine from a saw is less where something stands in a picture than how each
band of it behaves over the whole clip. McDermott and Simoncelli (2011, doi:10.1016/j.neuron.2011.06.032)
found that listeners recognise such sounds from statistics of this kind alone. A convolutional network has
to find them from a few hundred clips; here they are computed, and a small network reads them.
"""

import torch
from torch import nn

from train.models.registry import build, model
from train.models.strides import Strides

BANDS = 32  # rows are averaged in so many groups
RHYTHMS = 8  # ranges of modulation frequency, from one period a clip up
DROPOUT = 0.5
SHARE = 0.75  # of the answer where a network stands beside it
QUIET = 0.05  # of a deviation: where a band hardly moves, its rhythm is no matter


class Texture(nn.Module):
    """Pictures (B, C, H, W) to statistics (B, C * BANDS * (2 + ranges)), without weights.

    Of each band of rows: its mean, its deviation, and the logarithm of its modulation spectrum (the size of
    the Fourier transform along time) in ranges of equal ratio. `frames` is W; few have fewer ranges.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.edges = spread_edges(frames // 2)
        self.size = BANDS * (2 + len(self.edges) - 1)  # of one channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bands = nn.functional.adaptive_avg_pool2d(x, (BANDS, x.shape[3]))  # (B, C, BANDS, W)
        mean = bands.mean(3)
        moving = bands - mean[..., None]
        spectrum = torch.fft.rfft(moving, dim=3).abs()[..., 1:]
        ranges = [spectrum[..., low:high].mean(3) for low, high in zip(self.edges, self.edges[1:])]
        rhythm = (torch.stack(ranges, dim=3) + QUIET).log()  # (B, C, BANDS, ranges)
        return torch.cat([mean.flatten(1), moving.std(3).flatten(1), rhythm.flatten(1)], dim=1)


def spread_edges(bins: int) -> list[int]:
    """Where up to RHYTHMS ranges of 0..bins begin and end: in equal ratios, each with one bin at least.

    >>> spread_edges(108)
    [0, 2, 3, 6, 10, 19, 33, 60, 108]
    """
    return sorted({0, *(round(bins ** (step / RHYTHMS)) for step in range(1, RHYTHMS + 1))})


class TextureNet(nn.Module):
    """Texture, each statistic standardised, then two linear layers: (B, C, H, W) to logits (B, classes)."""

    stages = ("texture", "hidden", "head")

    def __init__(self, channels: int, classes: int, frames: int, width: int) -> None:
        super().__init__()
        self.texture = Texture(frames)
        size = channels * self.texture.size
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.hidden = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(size, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a spectrum needs more than bf16's eight bits
            return self.head(self.hidden(self.norm(self.texture(x.float()))))


@model(kind="image")
def texture(channels: int, classes: int, shape: tuple[int, int], *, width: int = 256) -> TextureNet:
    """A small network on each band's level, deviation and rhythm: seconds a fold."""
    return TextureNet(channels, classes, shape[1], width)


class WithTexture(nn.Module):
    """A network and a TextureNet side by side: each learns by itself, their logits are averaged.

    While training it returns the answers of both, (B, 2, classes), so that each gets a loss of its own: the
    texture alone is soon right about the clips trained on, and would leave the network nothing to learn from.
    """

    def __init__(self, network: nn.Module, texture: TextureNet) -> None:
        super().__init__()
        self.network, self.texture = network, texture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.stack([self.network(x).float(), self.texture(x)], dim=1)
        return both if self.training else together(both)


def together(answers: torch.Tensor) -> torch.Tensor:
    """Logits (B, 1, K) of a network alone, or (B, 2, K) of a network and a texture, as the answer (B, K)."""
    return answers[:, 0].lerp(answers[:, -1], SHARE)


def assemble(
    name: str,
    channels: int,
    classes: int,
    shape: tuple[int, int],
    *,
    beside: str,
    generator: torch.Generator | None = None,
    changed: Strides | None = None,
) -> nn.Module:
    """The model called `name`, with a TextureNet beside it where `beside` is "on"; `changed` as for build."""
    network = build(name, channels, classes, shape, generator=generator, changed=changed)
    if beside == "off":
        return network
    second = build("texture", channels, classes, shape, generator=generator)
    assert isinstance(second, TextureNet)
    return WithTexture(network, second)


def core(network: nn.Module) -> nn.Module:
    """The network alone, of which published weights may be wanted."""
    return network.network if isinstance(network, WithTexture) else network
