"""Two plain convolutional networks, the baselines of many papers on environmental
sounds.

catalogue.py registers both; it imports this module, and with it torch, only when a
network is built.
"""

import math
from collections import OrderedDict

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
    kernels are wrong there (docs/explanation/reproducibility.md).
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
