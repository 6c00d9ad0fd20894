"""A network on the waveform itself, (B, C, 1, samples)."""

import torch
from torch import nn

from featurestack.train.models.cnn import convolution


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
