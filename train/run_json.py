"""run.json as training writes it: before the first step, when a run computes another
way, and at its end.
"""

import os
import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from featurestack.features_cache.table import is_windowed
from featurestack.results.config import (
    ExtractionCost,
    Machine,
    Plain,
    RunConfig,
    SoundClass,
    digest,
)
from featurestack.results.run_folder import RunFolder, write_config
from featurestack.train.identity import HASH_VERSION, protocol, training_command
from featurestack.train.plan import Plan
from featurestack.train.summary import calibration

if TYPE_CHECKING:
    from featurestack.train.choose_compute import Choice

# share of padded clips; above it, windows of predict have the clips' median length
PADDED = 0.1
VERSIONED = ("torch", "numpy", "scikit-learn", "h5py")


def first_config(plan: Plan, device: str) -> RunConfig:
    """run.json before training, on this kind of device."""
    options = plan.options
    model = plan.model
    content = plan.identity.content
    seedless = content | {"options": content["options"] | {"seed": None}}
    named = (
        "features",
        "model",
        "task",
        "seed",
        "epochs",
        "val",
        "select",
        "tag",
        "recipe",
        "note",
    )
    published_test = plan.cache.published_test in plan.folds
    filled = plan.cache.filled[plan.table.index]
    many_padded = np.mean(filled < 1) > PADDED
    return RunConfig(
        dataset=plan.dataset,
        synthetic=plan.cache.synthetic,
        **{name: getattr(options, name) for name in named},
        augment=content["options"]["augment"],
        model_summary=model.summary,
        exact=not model.kind.in_steps,
        member_models=tuple(model.member_names),
        grid="{}x{}".format(*plan.input.grid),
        folds=tuple(plan.folds),
        classes=tuple(SoundClass(**entry) for entry in plan.classes),
        sample_rate=plan.cache.sample_rate,
        duration=plan.cache.duration,
        windows=is_windowed(plan.table),
        clip_seconds=(
            round(float(np.median(filled)) * plan.cache.duration, 3)
            if many_padded
            else None
        ),
        channels=plan.channels,
        extraction=ExtractionCost(**plan.cache.extraction_cost(plan.channel_names)),
        protocol=protocol(
            options, in_steps=model.kind.in_steps, published_test=published_test
        ),
        hash=plan.identity.hash,
        hash_version=HASH_VERSION,
        family=digest([seedless, options.tag]),
        options=plan.resolved_options,
        command=tuple(training_command(options)),
        cache=content["cache"],
        clips=content["clips"],
        machine=machine(device),
        versions=versions(),
        seconds=0.0,
        calibration={},
    )


def record(plan: Plan, choice: "Choice", parameters: int) -> None:
    """Write a new run's run.json, or add to `changes` how a run that has begun computes
    from here on.

    A change has the epochs that each unfinished fold has done. Nothing is written if
    nothing changed.
    """
    state = asdict(choice.compute)
    if choice.begun is None:
        config = first_config(plan, choice.compute.device)
        config = replace(
            config, parameters=parameters, checked=choice.checked, chosen=choice.source
        )
        write_config(plan.path, replace(config, **state))
    elif choice.compute != choice.begun:
        run = RunFolder(plan.path)
        done: dict[str, Plain] = {
            str(fold): len(run.history(fold))
            for fold in run.folds
            if fold not in run.finished
        }
        change: dict[str, dict[str, Plain]] = {
            "from": asdict(choice.begun),
            "to": state,
            "epochs_done": done,
        }
        write_config(
            plan.path,
            replace(run.training, **state, changes=(*run.training.changes, change)),
        )


def finish(folder: RunFolder, note: str, tested: bool) -> None:
    """Write the seconds of all epochs, a note if one is given and, after new tests, the
    calibration.
    """
    known = folder.training
    seconds = float(sum(folder.history(fold)["seconds"].sum() for fold in folder.folds))
    config = replace(known, seconds=seconds, note=note or known.note)
    if seconds != known.seconds and tested:
        config = replace(config, calibration=calibration(folder))
    if config != known:
        write_config(folder.path, config)


def machine(device: str) -> Machine:
    gpu = None
    if device == "cuda":
        import torch

        gpu = torch.cuda.get_device_name(device)
    return Machine(
        processor=platform.processor() or platform.machine(),
        cores=os.cpu_count(),
        gpu=gpu,
    )


def versions() -> dict[str, str]:
    """The versions of Python and of VERSIONED."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in VERSIONED
    }
