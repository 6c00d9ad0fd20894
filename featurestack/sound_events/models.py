"""Models of frames: rows (B, D, 1, T), standardised, to logits (B, T, K + 1).

The last output is the background, if labels exclude each other; else it is not used.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from featurestack.linear import logistic as linear

# frames before and after that `linear_frames` reads: dense around the frame
CONTEXT = (-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8)
KERNEL = 5
DILATIONS = (1, 2, 4, 8)  # 61 frames together: 0.7 s at 44,100 Hz


class FrameModel(nn.Module):
    """The base of models of frames; the weights say if labels exclude each other."""

    exclusive: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("exclusive", torch.tensor(True))

    def loss(
        self, logits: Tensor, targets: Tensor, used: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """The mean loss of the used frames.

        logits   (B, T, K + 1); targets (B, T, K), 0 or 1; used (B, T) bool
        """
        logits, targets = logits[used], targets[used]
        if self.exclusive:
            return functional.cross_entropy(
                logits, class_numbers(targets), label_smoothing=smoothing
            )
        uniform = torch.full_like(targets, 1 / targets.shape[1])
        smooth = targets.lerp(uniform, smoothing)
        return functional.binary_cross_entropy_with_logits(logits[:, :-1], smooth)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, T, K) of logits (B, T, K + 1)."""
        if self.exclusive:
            every = logits.softmax(2)
            return every[..., :-1]
        return logits[..., :-1].sigmoid()


def class_numbers(targets: Tensor) -> Tensor:
    """(N,) the class of each frame (N, K), K for the background."""
    labels = targets.sum(1, keepdim=True)
    background = (labels == 0).to(targets.dtype)
    return torch.cat([targets, background], dim=1).argmax(1)


class LinearFrames(FrameModel):
    """One linear layer over a frame and its context."""

    def __init__(self, rows: int, classes: int, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.head = nn.Linear(rows * len(CONTEXT), classes + 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(with_context(x.squeeze(2)))

    @torch.no_grad()
    def fit(self, x: NDArray[np.float32], targets: NDArray[np.bool_]) -> None:
        """Set the weights from x (N, D * len(CONTEXT)) and targets (N, K)."""
        wanted = np.column_stack([targets, ~targets.any(axis=1)])
        y = wanted.argmax(axis=1) if self.exclusive else wanted
        fitted = linear.fit(x, y, wanted.shape[1], self.strength)
        weight = fitted.weight / fitted.scale
        self.head.weight.copy_(torch.from_numpy(weight))
        self.head.bias.copy_(torch.from_numpy(fitted.bias - weight @ fitted.mean))


def with_context(x: Tensor) -> Tensor:
    """(B, D, T) to (B, T, D * len(CONTEXT)); frames beyond the ends are zeros."""
    reach = max(CONTEXT)
    padded = functional.pad(x, (reach, reach))
    shifted = [padded.narrow(2, reach + by, x.shape[2]) for by in CONTEXT]
    return torch.cat(shifted, dim=1).transpose(1, 2)


class ConvolutionalFrames(FrameModel):
    """Dilated convolutions with batch norm, ReLU and residual connections."""

    def __init__(self, rows: int, classes: int, width: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for dilation in DILATIONS:
            inputs = width if blocks else rows
            convolution = nn.Conv1d(
                inputs, width, KERNEL, padding="same", dilation=dilation, bias=False
            )
            blocks.append(nn.Sequential(convolution, nn.BatchNorm1d(width), nn.ReLU()))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, classes + 1)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.blocks
        x = first(x.squeeze(2))  # (B, width, T)
        for block in rest:
            x = x + block(x)
        return self.head(x.transpose(1, 2))
