"""The network of frames: rows (B, D, 1, T), standardised, to logits (B, T, K + 1).

The last output is the background, if labels exclude each other; else it is not used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 5
DILATIONS = (1, 2, 4, 8)  # 61 frames together: 0.7 s at 44,100 Hz


class FrameModel(nn.Module):
    """Dilated convolutions with batch norm, ReLU and residual connections; the weights
    say if labels exclude each other.
    """

    exclusive: Tensor

    def __init__(self, rows: int, classes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("exclusive", torch.tensor(True))
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
