"""A trained model, from a run folder or from a bundle: one file of weights and
configuration.

A bundle is a dictionary of tensors, numbers and text. It is read with
`weights_only=True`, so that nothing in it is executed.

    format   BUNDLE_FORMAT, raised when older files can no longer be read
    config   run.json, with the calibration of these weights alone
    folds    {fold: {"network": state dict, "statistics": list}}
    needs    pretrained network that the features need -> what it is, and its licence

The networks that features need are not in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.base import LOADED, registry
from featurestack.base.errors import RequestError, refuse_newer, shortened
from featurestack.base.json_content import as_dataclass
from featurestack.base.own_files import own_file
from featurestack.base.quantities import counted, listed, size
from featurestack.base.shell import make_command
from featurestack.comparison.metrics import Floats
from featurestack.features_cache.identity import Identity
from featurestack.predict.options import BundleOptions
from featurestack.results.calibration import scaled
from featurestack.results.config import Compute, RunConfig, content_of
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.run_folder import RunFolder
from featurestack.results.run_list import select_one
from featurestack.results.tasks import TASKS
from featurestack.ridge import share_of_sure
from featurestack.train.checkpoint import (
    Checkpoint,
    as_bytes,
    load_checkpoint,
    load_weights,
    not_finite,
    read_safely,
)
from featurestack.train.compute import place, probabilities_of
from featurestack.train.models import resolve
from featurestack.train.network_input import AnyFloats, InputSpec, Statistics

BUNDLE_FORMAT = 1
BATCH = 32  # clips; larger batches are hardly faster and need more memory
# largest allowed difference between a recomputed probability and predictions.csv
AGREES = 1e-3

Values = list[AnyFloats]  # stored values (B, rows, frames) of each channel
ClassProbabilities = NDArray[np.float32]


Folds = dict[int, Checkpoint]  # fold -> state of the network and of the statistics


def bundle_of_run(run: RunFolder) -> tuple[RunConfig, Folds]:
    """A run's finished folds, with the weights of the epoch that counts."""
    config = run.trained_config
    if not run.finished:
        raise RequestError(
            f"{run.name} has no finished fold yet: continue its training"
        )
    folds = {}
    selection = run.selection()
    for fold in run.finished:
        file = run.fold(fold) / f"{selection}.pt"
        if not file.is_file():
            raise RequestError(
                f"{file} is not there: remove"
                f" {file.with_name('predictions.csv')} and train this fold again"
            )
        state = load_checkpoint(file)
        folds[fold] = {key: state[key] for key in ("network", "statistics")}
    fitted = {e: each for e, each in config.calibration.items() if e == selection}
    # a bundle is handed on: it does not say where its maker's sounds lie
    identity = str(Identity("", config.dataset_identity.content))
    return replace(config, calibration=fitted, identity=identity), folds


def read_bundle(file: Path) -> tuple[RunConfig, Folds]:
    """The bundle in this file; RequestError for any other or malformed content."""
    made = f"{make_command('bundle', 'RUN=NAME')} makes one"
    try:
        content = read_safely(file)
        version = content["format"]
        stated, folds = content["config"], content["folds"]
    except (ValueError, LookupError, TypeError) as reason:
        raise RequestError(
            f"{file} is not a bundle that can be read safely ({reason}): {made}"
        ) from None
    again = "make it again from its run"
    refuse_newer(file, version, BUNDLE_FORMAT)
    if type(version) is not int or version != BUNDLE_FORMAT:
        raise RequestError(
            f"{file} has a bundle format other than {BUNDLE_FORMAT}: {again}"
        )
    config = as_dataclass(stated, RunConfig, str(file), again)
    require_folds(config, folds, file)
    for fold in folds:
        state = folds[fold] if isinstance(folds, dict) else None
        if not (isinstance(state, dict) and {"network", "statistics"} <= state.keys()):
            raise RequestError(f"{file} has no model of fold {fold}: {again}")
    return config, folds


def require_folds(config: RunConfig, folds: Any, file: Path) -> None:
    """RequestError unless the folds of a file are some of its run's, each once."""
    numbers = [*folds] if isinstance(folds, dict | list) else []
    known = all(type(fold) is int and fold in config.folds for fold in numbers)
    if not (numbers and known and len({*numbers}) == len(numbers)):
        raise RequestError(
            f"{file} has models of the folds {shortened(repr(numbers))}: expected some"
            f" of {listed([*map(str, config.folds)])}; make it again from its run"
        )


class FoldModels:
    """The models of a run's folds, whether PyTorch or ONNX computes them."""

    def __init__(self, config: RunConfig, folds: Iterable[int]) -> None:
        self.config = config
        self.classes: list[str] = [entry.name for entry in config.classes]
        fitted = next(iter(config.calibration.values()), None)
        self.temperature = fitted.temperature if fitted else 1.0
        self.thresholds = (fitted.thresholds or {}) if fitted else {}
        self.task = TASKS[config.task]
        self.fold_numbers: tuple[int, ...] = tuple(folds)
        # share of clips of a class left out of training that get ridge.SURE or more
        self.foreign: float | None = None

    def by_fold(self, values: Values, filled: Floats) -> list[ClassProbabilities]:
        """(B, K) of each fold's model, unscaled as in predictions.csv, for clips
        given by their stored features. `filled` (B,) is the share of the duration that
        each clip fills; it counts if the run was trained without padding.
        """
        raise NotImplementedError

    def joined(self, by_fold: Sequence[ClassProbabilities]) -> ClassProbabilities:
        """The mean of all folds' models, scaled by the run's temperature."""
        each = by_fold
        if not self.task.multilabel:
            each = [scaled(values, self.temperature) for values in by_fold]
        return np.mean(each, axis=0, dtype=np.float32)


class RunModel(FoldModels):
    """The networks of a run's folds: probabilities from stored features, in plain fp32
    like predictions.csv; RequestError for weights or statistics that do not fit.
    """

    def __init__(self, config: RunConfig, folds: Folds, device: str = "cpu") -> None:
        super().__init__(config, folds)
        with registry.defined_in(config.own_code, f"the model {config.options.model}"):
            self.architecture = resolve(config.options.model)
        if config.code and self.architecture.code != config.code:
            raise RequestError(
                f"the code of the model {config.model} has changed since this run was"
                " trained: bring it back, or train again"
            )
        kind = self.architecture.kind
        self.input = InputSpec.restore(kind, config)
        # channels last is a sixth faster for images on a CPU; vectors have no such
        # layout
        self.compute = Compute(device=device, channels_last=self.input.grid != (1, 1))
        self.networks: dict[int, nn.Module] = {}  # in fp32
        self.statistics: dict[int, list[Statistics]] = {}  # of the channels
        for fold, state in folds.items():
            name, weights = f"fold {fold}", state["network"]
            if broken := not_finite(weights):
                raise RequestError(
                    f"{name}: '{broken}' holds numbers that are not finite"
                )
            sizes = self.input.shape[0], len(self.classes), self.input.grid
            network = self.architecture.build(*sizes, self.input.planes)
            load_weights(network, weights, Path(name), "train or bundle it again")
            self.statistics[fold] = [*map(Statistics.restore, state["statistics"])]
            self.networks[fold] = place(network.eval(), self.compute)
        counts = [state["network"].get("foreign", ()) for state in folds.values()]
        if all(map(len, counts)):
            self.foreign = share_of_sure(sum(counts).numpy())

    def by_fold(self, values: Values, filled: Floats) -> list[ClassProbabilities]:
        return [self.probabilities(fold, values, filled) for fold in self.fold_numbers]

    def prepare(self, fold: int, values: Values, filled: Floats) -> torch.Tensor:
        """(B, D, H, W) the input of a fold's network."""
        return self.input.prepare(values, self.statistics[fold], filled).float()

    def probabilities(
        self, fold: int, values: Values, filled: Floats
    ) -> ClassProbabilities:
        """(N, K) probabilities of a fold's model, BATCH clips at a time."""
        x = self.prepare(fold, values, filled)
        batches = (batch.to(self.compute.device) for batch in x.split(BATCH))
        return probabilities_of(self.networks[fold], batches, self.compute, self.task)


BUNDLE_RECORD = ".bundle.json"  # names the files that `bundle` writes


def make_bundle(options: BundleOptions) -> Path:
    """Write the run's bundle to `out` or <run>.bundle.pt, and print its size."""
    from featurestack.embeddings.networks import networks_in

    dataset = named_dataset(options.dataset, options.data, options.name)
    run = select_one(options.runs, options.run, *dataset, data=options.data)
    file = options.out or Path(f"{run.name}.bundle.pt")
    record = own_file(file, BUNDLE_RECORD, "OUT=")
    config, folds = bundle_of_run(run)
    networks = networks_in(config.features)
    content = {"format": BUNDLE_FORMAT, "config": content_of(config), "folds": folds}
    content["needs"] = networks
    record.write({file.name: as_bytes(content)})
    words = [f"RUN={file}", "AUDIO=FILE"]
    versions = [channel.code_version for channel in config.channels]
    of_user = config.code or any("," in version for version in versions)
    if of_user and not LOADED:  # a script or a notebook defined it
        words.append(f"LOAD={' '.join(config.own_code) or 'FILE.py'}")
    command = make_command("predict", *words)
    made = f"{counted(len(folds), 'fold')}, {size(file.stat().st_size)}"
    print(f"{file}: {made}; to use it: {command}")
    for name, about in networks.items():
        print(f"it needs {name}: {about}")
    return file
