"""The devices that train a run's folds: one, or several side by side.

Each of several DEVICEs has a process of its own; torchrun starts such processes too. A
process trains its share of the folds. Then it goes on to those that no other process
has finished, and waits for those that are being trained: when a process ends, all folds
are finished, although another one may have failed.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

import torch

from featurestack.commandline import own_code
from featurestack.commandline.errors import Failed, RequestError
from featurestack.commandline.options import written
from featurestack.train.compute import device_of
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan
from featurestack.train.trainer import train_run


def train_on_devices(
    options: RunOptions, plan: Plan, folds: Sequence[int], *, in_place: bool
) -> None:
    """Train these folds on the devices of the options; an exact model is fitted on the
    CPU. `in_place`: the plan's folder takes that of another run later.
    """
    named = options.device if plan.model.kind.in_steps else "cpu"
    devices = list(map(device_of, named.split()))
    started = "WORLD_SIZE" in os.environ  # by torchrun, or by `train_side_by_side`
    if in_place and (started or len(devices) > 1):
        raise RequestError(
            "RETRAIN=1 takes one device and one process: give DEVICE=cuda:0"
        )
    if len(devices) > 1:
        train_side_by_side(options)
    elif started:
        train_share(plan, folds, *devices)
    else:
        train_run(plan, folds, *devices)


def train_share(plan: Plan, folds: Sequence[int], device: str) -> None:
    """Train these folds beside the other processes of torchrun, or of several devices.

    The variables RANK and WORLD_SIZE are the process's number and how many there are;
    torchrun sets LOCAL_RANK, its number on this machine, which is that of its GPU.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    share = folds[rank::size]
    # backwards, because the others begin with the first ones
    others = [fold for fold in reversed(folds) if fold not in share]
    train_run(plan, [*share, *others], device)


def train_side_by_side(options: RunOptions) -> None:
    """Train one run on several devices, one process for each device."""
    devices = options.device.split()
    jobs = []
    for rank, device in enumerate(devices):
        command = [
            sys.executable,
            *("-m", "featurestack", "train"),  # a wheel installs this one name
            *child_words(options, device),
        ]
        number = {"RANK": str(rank), "WORLD_SIZE": str(len(devices))}
        jobs.append(
            subprocess.Popen(
                command, stdout=subprocess.DEVNULL, env=os.environ | number
            )
        )
    try:
        failed = [device for device, job in zip(devices, jobs) if job.wait()]
    finally:  # Ctrl-C reaches the children by itself; other errors do not
        for job in jobs:
            job.terminate()
    if failed:
        raise Failed(f"training on {' and '.join(failed)} failed: see above")


def child_words(options: RunOptions, device: str) -> list[str]:
    """NAME=value of every option, and of the code of one's own."""
    given = vars(options) | {"device": device}
    words = [f"{name.upper()}={written(value)}" for name, value in given.items()]
    return [*words, *own_code.words()]
