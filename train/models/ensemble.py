"""Two networks that answer together."""

import torch
from torch import nn


class Ensemble(nn.Module):
    """Two networks on the same input; the answer (B, K) is the weighted mean of their
    logits.

    In training it returns the logits of both, (B, 2, K), so that each has a loss of its
    own. Under a common loss a member that soon fits the training clips would leave the
    other nothing to learn.
    """

    def __init__(self, first: nn.Module, second: nn.Module, weight: float) -> None:
        """`weight` (0 to 1) is that of the second network."""
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
