"""Convolutional networks.

There are two plain ones on feature maps, the baselines of many papers on environmental
sounds, and one on the waveform. ResNet-18 (He et al. 2016, arXiv:1512.03385) names its
modules as torchvision does, so that a state dict of its resnet18 loads key by key.
"""

import math
from collections import OrderedDict

import torch
from torch import nn


def convolution(
    inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    """A 3x3 convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def plain(layers: list[nn.Module], width: int, classes: int) -> nn.Sequential:
    """Layers in a row, the mean over the remaining image, and one linear layer."""
    parts: dict[str, nn.Module] = {
        "layers": nn.Sequential(*layers),
        "pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "head": nn.Linear(width, classes),
    }
    return nn.Sequential(OrderedDict(parts))


def pooled(channels: int, classes: int, width: int) -> nn.Sequential:
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
    """Convolutions of which each halves the time and every other one the frequency,
    which leaves 8x2 of 128x431. An axis no longer than the stride is not halved: most
    of the kernel would see padding, and oneDNN's bf16 kernels are wrong there
    (docs/explanation/protocol.md).
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
    """A convolution over time, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
    )


class AclNet(nn.Module):
    """AclNet (Huang and Alvarado Leanos 2018, arXiv:1811.06669) with standard
    convolutions.

    The front end learns 64 filters and pools their output to one frame per 160 samples.
    The result is an image of 64 rows, the input of a VGG-like network of ten
    convolutions, `width` times as wide as the paper's.
    """

    def __init__(
        self, channels: int, classes: int, width: float, dropout: float
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
            # after the first and every second one from there; 64 / 32 rows remain
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


# ---- ResNet


class _Residual(nn.Sequential):
    """Layers in a row, of which the last one is a shortcut around the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *layers, shortcut = self.children()
        out = x
        for layer in layers:
            out = layer(out)
        return torch.relu_(out + shortcut(x))


def basic_block(inputs: int, width: int, stride: int) -> _Residual:
    """Two 3x3 convolutions to `width` channels, and a shortcut: a 1x1 convolution and
    batch norm if the shape changes, else the identity.
    """
    shortcut = nn.Sequential()
    if stride != 1 or inputs != width:
        projection = nn.Conv2d(inputs, width, 1, stride, bias=False)
        shortcut = nn.Sequential(projection, nn.BatchNorm2d(width))
    return _Residual(
        OrderedDict(
            conv1=nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(width, width, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(width),
            downsample=shortcut,
        )
    )


class StreamNorm(nn.BatchNorm2d):
    """A batch norm for each stream of a batch (B * streams, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        apart = x.reshape(-1, self.num_features, *x.shape[2:])
        return super().forward(apart).reshape(-1, *x.shape[1:])


class ResNet(nn.Module):
    """Four layers of two blocks, each with half the size and twice the width of the one
    before, then the mean and a linear layer.

    By `streams` each channel passes through the same convolutions as an image of its
    own, with batch norms of its own, and the linear layer reads the means of all.
    Otherwise the first convolution adds up the channels.
    """

    def __init__(self, channels: int, classes: int, streams: bool = False) -> None:
        def layer(inputs: int, width: int, stride: int) -> nn.Sequential:
            first = basic_block(inputs, width, stride)
            return nn.Sequential(first, basic_block(width, width, 1))

        super().__init__()
        self.planes = 1 if streams else channels  # of an image
        images = channels // self.planes  # of a clip
        self.conv1 = nn.Conv2d(self.planes, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = layer(64, 64, stride=1)
        self.layer2 = layer(64, 128, stride=2)
        self.layer3 = layer(128, 256, stride=2)
        self.layer4 = layer(256, 512, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * images, classes)
        for layer in [*self.modules()] if images > 1 else ():
            for name, norm in layer.named_children():
                if isinstance(norm, nn.BatchNorm2d):
                    layer.add_module(name, StreamNorm(norm.num_features * images))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The published order is ReLU, then pooling; this one gives the same bits with a
        # quarter of the work for ReLU.
        x = x.reshape(-1, self.planes, *x.shape[2:])
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(self.maxpool(x))  # (B, 64, H / 4, W / 4)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)  # (B, 512, H / 32, W / 32)
        x = self.avgpool(x)
        return self.fc(x.reshape(-1, self.fc.in_features))
