"""Write a run's record, run.json: before the first training step, when a resumed run
computes in another way, and at the end, with the calibration for new audio.
"""

import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import joblib

from featurestack.base.files import Lock
from featurestack.results.calibration import calibrate
from featurestack.results.config import Compute, Machine
from featurestack.results.run_folder import RunFolder, write_config
from featurestack.train.plan import Plan

if TYPE_CHECKING:
    from torch import nn

# what has to agree for a seed to give the same bytes, on a card and on a processor
SAME_BYTES = (
    "kind of card, versions, precision, channels_last",
    "kind of processor, versions, precision, channels_last, threads",
)
LOCK = ".lock"  # held while run.json is read and rewritten


def begin(plan: Plan, network: "nn.Module", compute: Compute) -> None:
    """Write run.json of a new run; of a run that has begun, update how it computes. If
    two processes begin a run, the second one keeps the first one's record.
    """
    same_bytes = SAME_BYTES[compute.device == "cpu"]
    compute = replace(compute, same_bytes=same_bytes)
    with Lock(plan.path / LOCK):
        if plan.begun:
            before = RunFolder(plan.path).config
            config = replace(before, computed=compute)
            if config == before:
                return
        else:
            config = replace(
                plan.config,
                parameters=sum(weight.numel() for weight in network.parameters()),
                computed=compute,
                machine=machine(compute.device),
            )
        write_config(plan.path, config)


def machine(device: str) -> Machine:
    """This machine, with the graphics card if the kind of device is one."""
    gpu = None
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name(device)
    processor = platform.processor() or platform.machine()
    return Machine(processor=processor, cores=joblib.cpu_count(), gpu=gpu)


def finish(path: Path, note: str) -> None:
    """Update seconds and note and, after new tests, the calibration."""
    folder = RunFolder(path)
    before = folder.config
    if seconds_of(folder) == before.seconds and note in ("", before.note):
        return  # the folder may be read-only
    with Lock(path / LOCK):
        folder = RunFolder(path)
        before = folder.config
        seconds = seconds_of(folder)
        config = replace(before, seconds=seconds, note=note or before.note)
        if seconds != before.seconds:
            config = replace(config, calibration=calibrate(folder))
        if config != before:
            write_config(path, config)


def seconds_of(folder: RunFolder) -> float:
    """Seconds of the finished folds, by which `finish` knows of new tests."""
    finished = map(folder.history, folder.finished)
    return float(sum(history["seconds"].sum() for history in finished))
