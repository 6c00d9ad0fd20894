"""A run.json of made-up values for tests that need a few of its keys."""

from dataclasses import replace

import numpy as np

from featurestack.results.config import (
    ExtractionCost,
    Machine,
    RunConfig,
    SoundClass,
    StoredChannel,
)
from featurestack.results.importance_folder import ImportanceConfig
from featurestack.results.training_options import TrainingOptions

KNOWN = {
    "dataset": "made",
    "synthetic": True,
    "features": "mel",
    "model": "resnet18",
    "task": "classes",
    "seed": 0,
    "epochs": 20,
    "val": "none",
    "select": "val_loss",
    "tag": "",
    "recipe": "",
    "note": "made up",
    "augment": "none",
    "model_summary": "",
    "exact": False,
    "grid": "128x216",
    "folds": (1, 2),
    "sample_rate": 44100,
    "duration": 5.0,
    "extraction": ExtractionCost(megabytes=110.0, seconds=20.0),
    "protocol": "last epoch",
    "hash": "0" * 12,
    "hash_version": 3,
    "family": "0" * 12,
    "options": TrainingOptions(),
    "cache": {},
    "clips": "all",
    "versions": {},
    "seconds": 300.0,
    "machine": Machine(processor="", cores=None),
    "calibration": {},
    "parameters": 11_000_000,
}


def channel(stored):
    return StoredChannel(
        stored=stored,
        parameters={},
        dtype="float16",
        row_range=(0, 0),
        frames=1,
        frame_unit="s",
    )


def named(*classes):
    return tuple(SoundClass(name=name, category="") for name in classes)


def run_config(**given):
    channels = tuple(map(channel, given.get("features", "mel").split("+")))
    return RunConfig(
        **{"classes": named("a", "b"), "channels": channels, **KNOWN, **given}
    )


def importance_config(*features, **given):
    known = {
        "dataset": "made",
        "synthetic": True,
        "model": "linear",
        "task": "classes",
        "seed": 0,
        "permutations": 20,
        "clips": 120,
        "classes": named("a", "b"),
        "features": features,
        "fingerprints": {},
        "extraction": {name: ExtractionCost(megabytes=1.0) for name in features},
        "recordings": (8.0, 16.0, 32.0, 64.0),
        "redundancy": tuple(map(tuple, np.eye(len(features)).tolist())),
    }
    return ImportanceConfig(**known | given)


def rewrite(folder, **changes):
    """Change values of the run.json of an opened run folder, in memory alone."""
    vars(folder)["config"] = replace(folder.config, **changes)
