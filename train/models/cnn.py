"""Plain convolutional networks: two on feature maps, the baselines of many papers on
environmental sounds, and one on the waveform itself.

catalogue.py registers them; it imports this module, and with it torch, only when a
network is built.
"""

import math
from collections import OrderedDict

import torch
from torch import nn


def convolution(
    inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers in a row under these names."""
    return nn.Sequential(OrderedDict(layers))


def plain(layers: list[nn.Module], width: int, classes: int) -> nn.Sequential:
    """Layers in a row, the mean over what is left of the image, one linear layer."""
    return named(
        layers=nn.Sequential(*layers),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        head=nn.Linear(width, classes),
    )


def pooled(channels: int, classes: int, width: int) -> nn.Sequential:
    """Four convolutions, each followed by max pooling."""
    widths = [width * times for times in (1, 2, 4, 8)]
    layers: list[nn.Module] = []
    inputs = channels
    for outputs in widths:
        layers.append(convolution(inputs, outputs))
        layers.append(nn.MaxPool2d(2))
        inputs = outputs
    return plain(layers, widths[-1], classes)


def strided(
    channels: int, classes: int, shape: tuple[int, int], width: int
) -> nn.Sequential:
    """Eight strided convolutions.

    Spectra are longer than they are high: each layer halves the time, every other layer
    the frequency, which leaves 8x2 of 128x431. An axis that is no longer than the
    stride is not halved: most of the kernel would see padding, and oneDNN's bf16
    kernels are wrong there (docs/explanation/protocol.md).
    """
    widths = [width * times for times in (1, 2, 2, 4, 4, 8, 8, 16)]
    layers: list[nn.Module] = []
    inputs = channels
    rows, frames = shape
    for number, outputs in enumerate(widths):
        halves_rows = number % 2 == 0 and rows > 2
        row_stride = 2 if halves_rows else 1
        frame_stride = 2 if frames > 2 else 1
        layers.append(convolution(inputs, outputs, (row_stride, frame_stride)))
        rows = math.ceil(rows / row_stride)
        frames = math.ceil(frames / frame_stride)
        inputs = outputs
    return plain(layers, widths[-1], classes)


def convolution1d(
    inputs: int, outputs: int, kernel: int, stride: int = 1
) -> nn.Sequential:
    """Convolution over time, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
    )


class AclNet(nn.Module):
    """AclNet (Huang and Alvarado Leanos 2018, arXiv:1811.06669) with standard
    convolutions.

    The front end learns 64 filters and pools them to one frame each 160 samples. Its
    output is an image of 64 rows, the input of a VGG-like network of ten convolutions,
    `width` times as wide as the paper's.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.front = nn.Sequential(
            convolution1d(channels, 16, kernel=9, stride=2),
            convolution1d(16, 64, kernel=5, stride=4),
            # 2 * 4 * 20 = 160 samples a frame, 10 ms at the paper's 16 kHz
            nn.MaxPool1d(20),
        )
        layers: list[nn.Module] = []
        inputs = 1
        for i, paper_width in enumerate((32, 64, 64, 128, 128, 256, 256, 512, 512)):
            outputs = max(1, round(width * paper_width))
            layers.append(convolution(inputs, outputs))
            # after the first and every second one from there: 64 / 32 rows at the end
            if i % 2 == 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            inputs = outputs
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(inputs, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.front(x.flatten(1, 2))  # (B, 64, samples / 160)
        x = self.body(x.unsqueeze(1))  # (B, 512 * width, 2, samples / 5120)
        x = self.head(self.dropout(x))  # (B, classes, 2, samples / 5120)
        return x.mean((2, 3))
