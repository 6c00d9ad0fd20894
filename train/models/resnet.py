"""ResNet (He et al. 2016, arXiv:1512.03385) with the module names of torchvision.

A state dict of torchvision's resnet18, 34 or 50 loads key by key.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

Block = Callable[[int, int, int], nn.Module]  # (input channels, width, stride) -> block


class Residual(nn.Sequential):
    """Layers in a row; the last one is the shortcut around the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *layers, shortcut = self.children()
        out = x
        for layer in layers:
            out = layer(out)
        return torch.relu_(out + shortcut(x))


def basic_block(inputs: int, width: int, stride: int) -> Residual:
    """Two 3x3 convolutions and a shortcut, to `width` channels."""
    return Residual(
        OrderedDict(
            conv1=nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(width, width, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(width),
            downsample=projection(inputs, width, stride),
        )
    )


def bottleneck(inputs: int, width: int, stride: int) -> Residual:
    """1x1, 3x3, 1x1 and a shortcut, to 4 * width channels.

    The stride is in the 3x3, as in torchvision ("v1.5": +0.5 % top-1).
    """
    return Residual(
        OrderedDict(
            conv1=nn.Conv2d(inputs, width, 1, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            bn2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
            conv3=nn.Conv2d(width, width * 4, 1, bias=False),
            bn3=nn.BatchNorm2d(width * 4),
            downsample=projection(inputs, width * 4, stride),
        )
    )


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """1x1 convolution and batch norm if the shape changes, else the identity."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    )


class ResNet(nn.Module):
    """Four layers of blocks, each half as large and twice as wide, then the mean."""

    def __init__(
        self,
        block: Block,
        expansion: int,
        depths: tuple[int, int, int, int],
        channels: int,
        classes: int,
    ) -> None:
        """A block gives `expansion` times as many channels as it is wide."""

        def layer(inputs: int, width: int, depth: int, stride: int) -> nn.Sequential:
            first = block(inputs, width, stride)
            others = (block(width * expansion, width, 1) for _ in range(depth - 1))
            return nn.Sequential(first, *others)

        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = layer(64, 64, depths[0], stride=1)
        self.layer2 = layer(64 * expansion, 128, depths[1], stride=2)
        self.layer3 = layer(128 * expansion, 256, depths[2], stride=2)
        self.layer4 = layer(256 * expansion, 512, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * expansion, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The published order is ReLU, then pooling. This order gives the same bits,
        # and ReLU has a quarter of the work.
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(self.maxpool(x))  # (B, 64, H / 4, W / 4)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)  # (B, 512 * expansion, H / 32, W / 32)
        x = self.avgpool(x)
        return self.fc(x.flatten(1))
