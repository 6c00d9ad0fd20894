"""DenseNet-BC (Huang et al. 2017, arXiv:1608.06993), named as torchvision's."""

import torch
from torch import nn
from torch.nn import functional

from featurestack.train.models.cnn import named

GROWTH = 32  # channels that each layer adds
BOTTLENECK = 4  # a layer's 1x1 convolution has this many times GROWTH channels


class DenseBlock(nn.Module):
    """`depth` layers that see all before them: inputs + depth * GROWTH channels."""

    def __init__(self, inputs: int, depth: int) -> None:
        super().__init__()
        width = BOTTLENECK * GROWTH
        for i in range(depth):
            before = inputs + i * GROWTH
            # (B, before, H, W) to the channels that it adds, (B, GROWTH, H, W)
            layer = named(
                norm1=nn.BatchNorm2d(before),
                relu1=nn.ReLU(inplace=True),
                conv1=nn.Conv2d(before, width, 1, bias=False),
                norm2=nn.BatchNorm2d(width),
                relu2=nn.ReLU(inplace=True),
                conv2=nn.Conv2d(width, GROWTH, 3, padding=1, bias=False),
            )
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseNet(nn.Module):
    """Four dense blocks with transitions between them, then the mean."""

    def __init__(self, depths: tuple[int, ...], channels: int, classes: int) -> None:
        super().__init__()
        self.features = named(
            conv0=nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(64),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        width = 64
        for i, depth in enumerate(depths, start=1):
            self.features.add_module(f"denseblock{i}", DenseBlock(width, depth))
            width += depth * GROWTH
            if i < len(depths):
                transition = named(  # half the channels, half the height and width
                    norm=nn.BatchNorm2d(width),
                    relu=nn.ReLU(inplace=True),
                    conv=nn.Conv2d(width, width // 2, 1, bias=False),
                    pool=nn.AvgPool2d(2),
                )
                self.features.add_module(f"transition{i}", transition)
                width //= 2
        self.features.add_module(f"norm{len(depths) + 1}", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)  # (B, 1024, H / 32, W / 32)
        x = functional.relu(x)
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.classifier(x.flatten(1))
