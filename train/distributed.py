"""Several processes, one model: torchrun starts them, each takes its share of every batch.

DistributedDataParallel: batch statistics are each process's own, gradients are averaged. The first process
alone writes and decides.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """This process's place among `size`; one alone is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: NDArray[np.intp]) -> NDArray[np.intp]:
        """This process's part of a batch; sizes differ by one at most."""
        return np.array_split(batch, self.size)[self.rank]

    def agree(self, decision: Any) -> Any:
        """What the first process says, in all of them."""
        if self.size == 1:
            return decision
        box = [decision]
        dist.broadcast_object_list(box)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """What each process says, by rank, in all of them."""
        told = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(told, value)
        return told

    def mean(self, value: torch.Tensor) -> float:
        """The mean over the processes of a number that each has."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return float(value) / self.size

    def join(self, network: nn.Module, device: str) -> nn.Module:
        """The network that averages gradients over the processes in its backward pass."""
        if self.size == 1:
            return network
        return DistributedDataParallel(
            network, device_ids=[torch.device(device)] if "cuda" in device else None
        )


ALONE = World()


@contextmanager
def joined(device: str) -> Iterator[tuple[World, str]]:
    """Among the processes that torchrun started: the place and the device of this one; alone without it."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(), device
        return
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size()), device
        dist.barrier()  # one that leaves while another still needs it aborts
    finally:
        dist.destroy_process_group()
