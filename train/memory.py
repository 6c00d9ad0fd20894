"""Out of memory: recognised, and answered with the batch size that would fit."""

import copy

import torch
from torch import nn

from train.arithmetic import Arithmetic

# torch has a class for a GPU's shortage only; the last sign is oneDNN's, whose kernels then cannot be built.
SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "could not create a primitive")


def is_shortage(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
    )


def fitting_batch(network: nn.Module, arithmetic: Arithmetic, shape: tuple[int, ...]) -> int:
    """The largest of half, a quarter, … of the batch `shape` (B, C, H, W) that fits in memory; 0 for none."""
    batch = shape[0] // 2
    while batch and not _fits(network, arithmetic, (batch, *shape[1:])):
        batch //= 2
    return batch


def _fits(network: nn.Module, arithmetic: Arithmetic, shape: tuple[int, ...]) -> bool:
    try:
        trial = copy.deepcopy(network)
        with arithmetic.autocast():
            loss = trial(torch.zeros(shape, device=arithmetic.device)).float().square().mean()
        loss.backward()
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        return False
    return True
