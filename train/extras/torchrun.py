"""More than one process: torchrun's, which share every batch of one model, or one a device for folds.

Under torchrun DistributedDataParallel averages the gradients; batch statistics are each process's own. The
first process alone writes and decides.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from commandline.errors import Failed
from train.options import RunOptions
from train.plan import Plan
from train.trainer import Processes, Value, train_run


class Group(Processes):
    """Several processes that torchrun started."""

    def gather(self, value: Value) -> list[Value]:
        values = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def average_gradients(self, network: nn.Module) -> nn.Module:
        return DistributedDataParallel(network)


def train(plan: Plan, folds: Sequence[int], device: str) -> None:
    """Train among the processes that torchrun started."""
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():  # once for all runs of a sweep: a second group would wait for the first's
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    train_run(plan, folds, device, Group(dist.get_rank(), dist.get_world_size()))
    dist.barrier()  # one that leaves while another still needs it aborts


def train_side_by_side(options: RunOptions, folds: Sequence[int]) -> None:
    """Train the folds of one run on several devices, a process each."""
    jobs = []
    devices = options.device.split()
    for first, device in enumerate(devices[: len(folds)]):
        share = folds[first :: len(devices)]
        command = [sys.executable, "-m", "train", "run", *child_words(options, share, device)]
        jobs.append((share, subprocess.Popen(command, stdout=subprocess.DEVNULL)))
    try:
        failed = [str(fold) for share, job in jobs if job.wait() for fold in share]
    finally:  # Ctrl-C reaches the children too, but a caller's error does not
        for _, job in jobs:
            job.terminate()
    if failed:
        raise Failed(f"folds {' '.join(failed)} did not finish: see above")


def child_words(options: RunOptions, folds: Sequence[int], device: str) -> list[str]:
    """NAME=value of every option, those at their default too: RECIPE would give them its own."""
    given = vars(options) | {"folds": " ".join(map(str, folds)), "device": device}
    return [f"{name.upper()}={value}" for name, value in given.items()]
