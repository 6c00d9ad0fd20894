"""Write run.json: before the first step, when a run changes how it computes, and at
its end, with the calibration for new audio.
"""

import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np

from featurestack.base import DEFINING
from featurestack.base.files import Lock
from featurestack.base.json_content import digest
from featurestack.compare.accuracy import fit_temperature
from featurestack.compare.metrics import indicator
from featurestack.results.config import (
    OF_EVERY_RUN,
    RUN_FORMAT,
    Calibration,
    Compute,
    Epoch,
    ExtractionCost,
    Machine,
    RunConfig,
)
from featurestack.results.run_folder import RunFolder, write_config
from featurestack.train.plan import Plan

if TYPE_CHECKING:
    from torch import nn

# share of padded clips above which windows of predict have the clips' median length
PADDED = 0.1
# what has to agree for a seed to give the same bytes, on a card and on a processor
SAME_BYTES = (
    "kind of card, versions, precision, channels_last",
    "kind of processor, versions, precision, channels_last, threads",
)
LOCK = ".lock"  # held while run.json is read and rewritten
VERSIONED = ("torch", "numpy", "scipy", "h5py")


def first_config(plan: Plan, device: str) -> RunConfig:
    """The content of run.json before training, on this kind of device."""
    cache = plan.cache
    model = plan.model
    content = plan.content
    seedless = content | {"options": content["options"] | {"seed": None}}
    filled = cache.filled[plan.table.index]  # share of the duration
    clip_seconds = None
    if np.mean(filled < 1) > PADDED:
        clip_seconds = round(float(np.median(filled)) * cache.duration, 3)
    gpu = None
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name(device)
    rows, frames = plan.input.grid
    numbers = {name: version(name) for name in VERSIONED}
    return RunConfig(
        format_version=RUN_FORMAT,
        made_by="train",
        dataset=plan.path.parent.name,
        synthetic=cache.synthetic,
        **{name: getattr(plan.training, name) for name in OF_EVERY_RUN},
        training=plan.training,
        tag=plan.options.tag,
        note=plan.options.note,
        own_code=tuple(DEFINING),
        code=model.code,
        model_summary=model.description,
        exact=not model.kind.in_steps,
        input_grid=f"{rows}x{frames}",
        folds=tuple(plan.folds),
        classes=plan.classes,
        sample_rate=cache.sample_rate,
        duration=cache.duration,
        audio_channel=cache.audio_channel,
        clip_seconds=clip_seconds,
        channels=plan.input.channels,
        extraction=ExtractionCost(**cache.extraction_cost(plan.channel_names)),
        protocol=protocol(plan),
        hash=plan.hash,
        family=digest([seedless, plan.options.tag]),
        command=plan.command,
        cache=content["cache"],
        clips=content["clips"],
        left_out=plan.left_out,
        machine=Machine(
            processor=platform.processor() or platform.machine(),
            cores=joblib.cpu_count(),
            gpu=gpu,
        ),
        versions={"python": platform.python_version()} | numbers,
    )


def protocol(plan: Plan) -> str:
    """The protocol in words: test and training clips, epochs, model selection."""
    training = plan.training
    tested, others, fitted = "each fold tested", "the others", "exact solution"
    if plan.cache.published_test in plan.folds:
        tested = "the dataset's test fold tested"
    start = best = ""
    if training.weights == "imagenet":
        start = " from ImageNet's weights"
    elif training.pretrained:
        start = f" from the weights in {Path(training.weights).name}"
    if training.val != "none":
        aside = {"next": "the next fold", "group": "15 % of the training groups"}
        others = f"the others without {aside[training.val]}, which validate"
        best = f", and best epoch by {training.select}"
    if plan.model.kind.in_steps:
        fitted = f"epochs {training.epochs}{start}, last epoch{best}"
    return f"{tested}, trained on {others}; {fitted}"


def record(plan: Plan, network: "nn.Module", compute: Compute) -> None:
    """Write a new run's run.json, or in that of a begun run how it computes from now
    on. If two processes begin a run, the second one finds the first one's choice.
    """
    same_bytes = SAME_BYTES[compute.device == "cpu"]
    compute = replace(compute, same_bytes=same_bytes)
    with Lock(plan.path / LOCK):
        if plan.begun:
            known = RunFolder(plan.path).config
            config = replace(known, computed=compute)
            if config == known:
                return
        else:
            parameters = sum(weight.numel() for weight in network.parameters())
            config = first_config(plan, compute.device)
            config = replace(config, parameters=parameters, computed=compute)
        write_config(plan.path, config)


def finish(path: Path, note: str) -> None:
    """Update seconds and note and, after new tests, the calibration."""
    folder = RunFolder(path)
    known = folder.config
    if seconds_of(folder) == known.seconds and note in ("", known.note):
        return  # the folder may be read-only
    with Lock(path / LOCK):
        folder = RunFolder(path)
        known = folder.config
        seconds = seconds_of(folder)
        config = replace(known, seconds=seconds, note=note or known.note)
        if seconds != known.seconds:
            config = replace(config, calibration=calibrate(folder))
        if config != known:
            write_config(path, config)


def seconds_of(folder: RunFolder) -> float:
    return float(sum(folder.history(fold)["seconds"].sum() for fold in folder.folds))


def calibrate(run: RunFolder) -> dict[Epoch, Calibration]:
    """Selection -> calibration for new audio, fitted to all clips tested so far."""
    task = run.task
    fitted: dict[Epoch, Calibration] = {}
    for selection in run.predictions()["selection"].unique():
        tested = run.scored(selection=selection)
        targets = task.targets(tested["target"], run.classes)
        labels = indicator(targets, len(run.classes))
        probabilities = tested[run.classes].to_numpy(np.float32)
        temperature, thresholds = 1.0, None
        if task.multilabel:
            from featurestack.compare.tags import thresholds_of_run

            folds = tested["fold"].to_numpy()
            whole = run.finished == run.folds
            values = thresholds_of_run(labels, probabilities, folds, whole=whole)
            thresholds = dict(zip(run.classes, values.tolist()))
        else:
            temperature = fit_temperature(labels.argmax(axis=1), probabilities)
        fitted[selection] = Calibration(
            temperature=temperature, clips=len(tested), thresholds=thresholds
        )
    return fitted
