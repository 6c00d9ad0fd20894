"""A run.json of made-up values for tests that need a few of its keys."""

from dataclasses import replace
from typing import Any

from featurestack.results.config import (
    RUN_FORMAT,
    Compute,
    InputChannel,
    Machine,
    RunConfig,
    SoundClass,
)
from featurestack.results.training_options import Training

KNOWN = {
    "format_version": RUN_FORMAT,
    "made_by": "train",
    "dataset": "made",
    "synthetic": True,
    "note": "made up",
    "exact": False,
    "input_grid": "128x216",
    "folds": (1, 2),
    "sample_rate": 44100,
    "duration": 5.0,
    "cache_megabytes": 110.0,
    "protocol": "last epoch",
    "hash": "0" * 12,
    "family": "0" * 12,
    "clips": "all",
    "seconds": 300.0,
    "machine": Machine(processor="", cores=None),
    "parameters": 11_000_000,
}


def channel(stored):
    shape = {"row_range": (0, 0), "frames": 1, "frame_unit": "s"}
    return InputChannel(stored=stored, parameters={}, dtype="float16", **shape)


def named(*classes):
    return tuple(SoundClass(name=name, category="") for name in classes)


MADE: dict[str, Any] = {
    "task": "classes",
    "epochs": 20,
    "augment": "none",
    "padding": "keep",
}
OPTIONS = Training(features="mel", model="resnet18", **MADE)
OF_ALL = ("features", "model", "task", "seed", "val")
CPU = Compute(device="cpu", precision="fp32", channels_last=True, threads=1)


def run_config(options=OPTIONS, **given):
    """A configuration; `given` are its keys, or options of training."""
    of_training = {name: given.pop(name) for name in vars(OPTIONS) if name in given}
    options = replace(options, **of_training)
    channels = tuple(map(channel, options.features.split("+")))
    standard = {"classes": named("a", "b"), "channels": channels, "training": options}
    standard |= {name: getattr(options, name) for name in OF_ALL}
    return RunConfig(**standard | KNOWN | given)


def answer_of(config, *members):
    """The configuration of an answer whose folds these runs predict."""
    return replace(
        config, made_by="choice", training=None, members=members or ("mel-linear",)
    )


def computed(**way):
    """The trainer's way to compute: one thread of the processor, but for `way`."""
    return replace(CPU, **way)


def rewrite(folder, **changes):
    """Change values of the run.json of an opened run folder, in memory alone."""
    vars(folder)["config"] = replace(folder.config, **changes)
