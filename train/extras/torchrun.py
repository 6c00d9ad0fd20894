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

from train import Failed
from train.options import RunOptions
from train.plan import Plan
from train.trainer import Processes, Value, train_run


class Group(Processes):
    """Several processes that torchrun started."""

    def gather(self, value: Value) -> list[Value]:
        values = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def average_gradients(self, network: nn.Module, device: str) -> nn.Module:
        return DistributedDataParallel(
            network, device_ids=[torch.device(device)] if "cuda" in device else None
        )


def train(plan: Plan, folds: Sequence[int], devices: Sequence[str]) -> None:
    """Train among the processes that torchrun started, or the folds on several devices side by side."""
    if len(devices) > 1:
        if failed := train_on(devices, plan.asked, folds):
            raise Failed(f"folds {' '.join(map(str, failed))} did not finish: see above")
        return
    (device,) = devices
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():  # once for all runs of a sweep: a second group would wait for the first's
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        atexit.register(dist.destroy_process_group)
    train_run(plan, folds, device, Group(dist.get_rank(), dist.get_world_size()))
    dist.barrier()  # one that leaves while another still needs it aborts


def train_on(devices: Sequence[str], options: RunOptions, folds: Sequence[int]) -> list[int]:
    """Train the folds of one run on several devices side by side, a process each; those that failed."""
    jobs = []
    for first, device in enumerate(devices[: len(folds)]):
        share = folds[first :: len(devices)]
        command = [sys.executable, "-m", "train", "run", *child_words(options, share, device)]
        jobs.append((share, subprocess.Popen(command, stdout=subprocess.DEVNULL)))
    try:
        return [fold for share, job in jobs if job.wait() for fold in share]
    finally:  # Ctrl-C reaches the children too, but a caller's error does not
        for _, job in jobs:
            job.terminate()


def child_words(options: RunOptions, folds: Sequence[int], device: str) -> list[str]:
    """NAME=value of every option, those at their default too: RECIPE would give them its own."""
    given = vars(options) | {"folds": " ".join(map(str, folds)), "device": device}
    return [f"{name.upper()}={value}" for name, value in given.items()]
