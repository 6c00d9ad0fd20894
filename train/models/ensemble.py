"""Two networks that answer together; the weights that any network starts from."""

import math

import torch
from torch import nn


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every convolution and linear layer anew: He et al. 2015 for ReLU networks, zero biases."""
    if any(weight.is_meta for weight in network.parameters()):
        return  # no values to draw
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Ensemble(nn.Module):
    """Two networks on the same input, each with a loss of its own; the answer is the weighted mean of logits.

    While training it returns the logits of both, (B, 2, K): a member that is soon right about the clips
    trained on would leave the other nothing to learn from a common loss. In evaluation it returns (B, K).
    """

    def __init__(self, first: nn.Module, second: nn.Module, weight: float) -> None:
        """`weight`, 0 to 1, is the second member's."""
        super().__init__()
        self.first, self.second, self.weight = first, second, weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.alone(x)
        return logits if self.training else self.join(logits)

    def alone(self, x: torch.Tensor) -> torch.Tensor:
        """Each member's logits, (B, 2, K)."""
        return torch.stack([self.first(x).float(), self.second(x).float()], dim=1)

    def join(self, logits: torch.Tensor) -> torch.Tensor:
        """The members' logits (B, 2, K) as one answer (B, K)."""
        return logits[:, 0].lerp(logits[:, 1], self.weight)
