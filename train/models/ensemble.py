"""Two networks that predict together."""

import torch
from torch import nn


class Ensemble(nn.Module):
    """Two networks on the same input; the answer (B, K) is the weighted mean of their
    logits.

    In training it returns the logits of both, (B, 2n, K), the first's before the
    second's, so that each has a loss of its own; n is 1, or more if a member consists
    of several networks. Under a common loss one that soon fits would end the other's
    learning.
    """

    def __init__(self, first: nn.Module, second: nn.Module, weight: float) -> None:
        """`weight` (0 to 1) is that of the second network."""
        super().__init__()
        self.first = first
        self.second = second
        self.weight = weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.join(self.alone(x))
        first = by_network(self.first(x))
        second = by_network(self.second(x))
        # Repeated like this, both members have half of the mean loss.
        first_networks = first.shape[1]
        second_networks = second.shape[1]
        first = first.repeat_interleave(second_networks, dim=1)
        second = second.repeat_interleave(first_networks, dim=1)
        return torch.cat([first, second], dim=1)

    def alone(self, x: torch.Tensor) -> torch.Tensor:
        """Each member's logits, (B, 2, K)."""
        first = self.first(x).float()
        second = self.second(x).float()
        return torch.stack([first, second], dim=1)

    def join(self, logits: torch.Tensor) -> torch.Tensor:
        """The members' logits (B, 2n, K) as one answer (B, K)."""
        first_logits, second_logits = logits.chunk(2, dim=1)
        first = first_logits.mean(1)
        second = second_logits.mean(1)
        return first.lerp(second, self.weight)


def by_network(logits: torch.Tensor) -> torch.Tensor:
    """A member's logits in training as (B, networks, K)."""
    classes = logits.shape[-1]
    return logits.float().view(len(logits), -1, classes)
