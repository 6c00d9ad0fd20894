"""A trained model, from a run folder or from a bundle: one file of weights and
configuration.

A bundle is a dictionary of tensors, numbers and text. It is read with
`weights_only=True`, so that nothing in it is executed.

    format   BUNDLE_FORMAT, raised when older files can no longer be read
    config   run.json with the keys of `BundleConfig`
    folds    {fold: {"network": state dict, "statistics": list}}
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.commandline import registry
from featurestack.commandline.errors import RequestError, make_command
from featurestack.results.config import (
    Epoch,
    RunConfig,
    read_config,
)
from featurestack.results.run_folder import RunFolder
from featurestack.scores.accuracy import scaled
from featurestack.scores.tasks import task_of
from featurestack.train.checkpoint import (
    State,
    load,
    load_weights,
    not_finite,
    read_safely,
)
from featurestack.train.compute import Compute
from featurestack.train.models import resolve
from featurestack.train.network_input import Floats, InputSpec, Numbers, Statistics

BUNDLE_FORMAT = 1
BATCH = 32  # clips; larger batches are hardly faster and need more memory
# largest allowed difference between a recomputed probability and predictions.csv
AGREES = 1e-3

Values = list[Numbers]  # stored values (B, rows, frames) of each channel
Probabilities = NDArray[np.float32]


class BundleConfig(RunConfig):
    """A bundle's configuration: the run's, and the epoch of the bundle's weights."""

    selection: Epoch
    refit: bool = False

    @property
    def temperature(self) -> float:
        """The temperature for these weights; 1 before it is fitted."""
        fitted = self.calibration.get(self.selection)
        return fitted.temperature if fitted else 1.0

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Each class's threshold for these weights; empty if there are none."""
        fitted = self.calibration.get(self.selection)
        return (fitted.thresholds or {}) if fitted else {}


class Bundle(NamedTuple):
    """The configuration, and fold -> state of the network and of the statistics."""

    config: BundleConfig
    folds: dict[int, State]


def bundle_of_run(run: RunFolder, selection: str = "auto") -> Bundle:
    """A run's finished folds, with the weights of the `last` or `best` epoch or the one
    that counts (`auto`).
    """
    config = run.training
    if not run.finished:
        raise RequestError(
            f"{run.name} has no finished fold yet: continue its training"
        )
    if config.made_by == "own loop":
        raise RequestError(
            f"{run.name} was trained by a loop of its own, which keeps no weights here"
        )
    folds = {}
    selection = run.selection(selection)
    for fold in run.finished:
        file = run.fold(fold) / f"{selection}.pt"
        if not file.is_file():
            raise RequestError(
                f"{file} is not there: remove"
                f" {file.with_name('predictions.csv')} and train this fold again"
            )
        state = load(file)
        folds[fold] = {key: state[key] for key in ("network", "statistics")}
    epoch: Epoch = "best" if selection == "best" else "last"
    return Bundle(BundleConfig(**vars(config), selection=epoch), folds)


def read_bundle(file: Path) -> Bundle:
    """The bundle in this file; RequestError for any other or malformed content."""
    made = f"{make_command('bundle', 'RUN=NAME')} makes one"
    try:
        content = read_safely(file)
        version = content["format"]
    except (ValueError, LookupError, TypeError) as reason:
        raise RequestError(
            f"{file} is no bundle that can be read safely ({reason}): {made}"
        ) from None
    again = "make it again from its run"
    if type(version) is not int or version != BUNDLE_FORMAT:
        raise RequestError(
            f"{file} has another bundle format than {BUNDLE_FORMAT}: {again}"
        )
    config = read_config(content["config"], BundleConfig, str(file), again)
    return Bundle(config, content["folds"])


class FoldModel(NamedTuple):
    """One fold's network in fp32 and its channels' statistics."""

    network: nn.Module
    statistics: list[Statistics]


class RunModel:
    """The models of a run's folds: probabilities from stored features, in plain fp32
    like predictions.csv; RequestError for weights or statistics that do not fit.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        config = bundle.config
        self.config = config
        self.classes: list[str] = [entry.name for entry in config.classes]
        with registry.defined_in(config.own_code, f"the model {config.options.model}"):
            self.architecture = resolve(config.options.model)
        kind = self.architecture.kind
        self.input = InputSpec.restore(kind, config)
        # channels last is a sixth faster for images on a CPU; vectors have no such
        # layout
        self.compute = Compute(device, channels_last=self.input.grid != (1, 1))
        self.temperature = config.temperature
        self.task = task_of(config.task)
        self.fold_numbers: tuple[int, ...] = tuple(bundle.folds)
        self.folds: dict[int, FoldModel] = {}
        for fold, state in bundle.folds.items():
            self.folds[fold] = self.restore(state, f"fold {fold}")

    def restore(self, state: State, name: str) -> FoldModel:
        """A fold's network and statistics; RequestError if they do not fit."""
        if broken := not_finite(state["network"]):
            raise RequestError(f"{name}: '{broken}' holds numbers that are not finite")
        spec = self.input
        statistics = [Statistics.restore(channel) for channel in state["statistics"]]
        planes, *_ = spec.shape
        classes = len(self.classes)
        network = self.architecture.build(planes, classes, spec.grid, spec.planes)
        load_weights(network, state["network"], Path(name))
        return FoldModel(self.compute.place(network.eval()), statistics)

    def by_fold(self, values: Values, filled: Floats) -> list[Probabilities]:
        """(B, K) of each fold's model alone, unscaled as in predictions.csv, for clips
        given by their stored features. `filled` (B,) is the share of the duration that
        each clip fills; it counts if the run was trained without padding.
        """
        return [
            self.answers(fold, self.prepare(fold, values, filled))
            for fold in self.folds
        ]

    def joined(self, by_fold: Sequence[Probabilities]) -> Probabilities:
        """The mean of all folds' models, scaled by the run's temperature."""
        each = by_fold
        if not self.task.multilabel:
            each = [scaled(values, self.temperature) for values in by_fold]
        return np.mean(each, axis=0, dtype=np.float32)

    def prepare(self, fold: int, values: Values, filled: Floats) -> torch.Tensor:
        """(B, D, H, W) the input of a fold's network."""
        statistics = self.folds[fold].statistics
        return self.input.prepare(values, statistics, filled).float()

    def answers(self, fold: int, x: torch.Tensor) -> Probabilities:
        """(N, K) probabilities of inputs from `prepare`, BATCH clips at a time."""
        network = self.folds[fold].network
        device = self.compute.device
        batches = (batch.to(device) for batch in x.split(BATCH))
        return self.compute.answers(network, batches, self.task)
