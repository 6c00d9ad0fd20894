"""Training by several processes: under torchrun they share each batch, on several
DEVICEs the folds.

Under torchrun, DistributedDataParallel averages the gradients; batch norm normalises
each process's part by itself. The first process makes choices, scores and writes the
run; the others write to a temporary folder.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from featurestack.commandline import own_code
from featurestack.commandline.errors import Failed
from featurestack.commandline.options import part_of
from featurestack.storage.files import replace_file
from featurestack.train.compute import Compute
from featurestack.train.fold_data import FoldData, draw_batches, seeded
from featurestack.train.options import Execution, RunOptions
from featurestack.train.plan import Plan, Positions
from featurestack.train.trainer import Trainer, train_run

if TYPE_CHECKING:
    from featurestack.train.trainer import Bar

Value = TypeVar("Value")


def gather(value: Value) -> list[Value]:
    """Every process's `value`, by rank."""
    values = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


class SharedTrainer(Trainer):
    """It trains on its part of each batch; the first process chooses and scores."""

    @classmethod
    def prepare(
        cls, network: nn.Module, data: FoldData, device: str
    ) -> tuple[Compute, nn.Module]:
        """The first process chooses how to compute; the others read its run.json."""
        config = data.plan.path / "run.json"
        first = dist.get_rank() == 0
        chosen = super().prepare(network, data, device) if first else None
        content, *_ = gather(config.read_bytes() if first else b"")
        if chosen is None:
            replace_file(config, content)
            chosen = super().prepare(network, data, device)
        compute, forward = chosen
        return compute, DistributedDataParallel(forward)

    @classmethod
    def draw(
        cls, data: FoldData, epoch: int
    ) -> tuple[list[Positions], torch.Generator]:
        """This process's part of each batch; parts differ by at most one clip."""
        rank, size = dist.get_rank(), dist.get_world_size()
        batches = [
            np.array_split(batch, size)[rank]
            for batch in draw_batches(data, epoch, size)
        ]
        return batches, seeded(
            data.source.device, data.plan.training.seed, data.fold, epoch, rank
        )

    def train_epoch(self, bar: "Bar") -> dict[str, float]:
        row = super().train_epoch(bar)
        rows = gather(row)
        scores = [name for name in row if name.startswith("train_")]
        return row | {
            name: float(np.mean([part[name] for part in rows])) for name in scores
        }

    def predict(self, clips: Positions, *, exact: bool = False) -> NDArray[np.float32]:
        first = dist.get_rank() == 0
        answers, *_ = gather(
            super().predict(clips, exact=exact) if first else np.empty(0, np.float32)
        )
        return answers


def train(plan: Plan, folds: Sequence[int], device: str) -> None:
    """Train among the processes that torchrun started."""
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():  # once for all runs of a sweep
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    folds, *_ = gather(folds)
    if dist.get_rank() == 0:
        train_run(plan, folds, device, SharedTrainer)
    elif plan.model.kind.in_steps:
        with (
            tempfile.TemporaryDirectory() as place,
            Path(os.devnull).open("w") as nowhere,
        ):
            scratch = Path(place) / plan.dataset / plan.path.name
            for file in plan.path.glob("fold*/*.pt"):  # the folds' progress
                target = scratch / file.relative_to(plan.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
            execution = part_of(plan.execution, Execution)
            copy = replace(plan, path=scratch, execution=execution)
            with contextlib.redirect_stderr(nowhere):
                train_run(copy, folds, device, SharedTrainer)
    dist.barrier()  # a process that left earlier would abort the others


def train_side_by_side(options: RunOptions, folds: Sequence[int]) -> None:
    """Train the folds of one run on several devices, one process for each device."""
    jobs = []
    devices = options.device.split()
    for first, device in enumerate(devices[: len(folds)]):
        share = folds[first :: len(devices)]
        command = [
            sys.executable,
            *("-m", "featurestack", "train"),  # a wheel installs this one name
            *child_words(options, share, device),
        ]
        jobs.append((share, subprocess.Popen(command, stdout=subprocess.DEVNULL)))
    try:
        failed = [str(fold) for share, job in jobs if job.wait() for fold in share]
    finally:  # Ctrl-C reaches the children by itself; other errors do not
        for _, job in jobs:
            job.terminate()
    if failed:
        raise Failed(f"folds {' '.join(failed)} did not finish: see above")


def child_words(options: RunOptions, folds: Sequence[int], device: str) -> list[str]:
    """NAME=value of every option: RECIPE would replace an absent default."""
    given = vars(options) | {"folds": " ".join(map(str, folds)), "device": device}
    words = [f"{name.upper()}={value}" for name, value in given.items()]
    return [*words, *own_code.words()]
