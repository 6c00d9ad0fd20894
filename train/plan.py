"""The plan of a run, made before training: its data, its options and its identity. No
torch.

The hash covers the options, clips and feature values that can change predictions. The
folder's name shows the options that differ from the defaults; it is never parsed.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.options import fields, option_words, part_of
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import dataset_name
from featurestack.features_cache.table import (
    WINDOW_COLUMNS,
    Split,
    fold_split,
    has_windows,
    originals,
)
from featurestack.results.config import SoundClass, StoredChannel, digest, label
from featurestack.results.selection import digests
from featurestack.results.training_options import Training
from featurestack.scores.metrics import indicator
from featurestack.scores.tasks import Task
from featurestack.train.augment import Augmenter, parse_augment
from featurestack.train.models import Model
from featurestack.train.network_input import InputSpec
from featurestack.train.options import Execution, RunOptions, suitable
from featurestack.train.settings import find_data, settle, validate

Positions = NDArray[np.intp]  # rows of the clip table

# raised if the same hash would mean something else, as it would after the change of an
# option's default or of a model
HASH_VERSION = 1
NAMED_CLIPS = 3  # omitted clips that a message names, at most


@dataclass(frozen=True)
class Plan:
    """One run, ready to train."""

    training: Training
    execution: Execution
    told: tuple[str, ...]
    command: tuple[str, ...]
    cache: Cache
    table: pd.DataFrame
    task: Task
    model: Model
    input: InputSpec
    augmenter: Augmenter
    content: dict[str, Any]  # content of its hash: `hashed_content`
    data: Mapping[str, Any]  # the part of it that identifies its data
    path: Path  # the run's folder
    # feature sets from which its own was joined by their scores; 0 if it was not
    joined_from: int = 0
    # clips of the table whose features cannot be read; known once they were measured
    left_out: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        return digest(self.content)

    @property
    def dataset(self) -> str:
        return self.path.parent.name

    @property
    def channels(self) -> tuple[StoredChannel, ...]:
        return self.input.channels

    @property
    def channel_names(self) -> list[str]:
        """The channels' names in the feature set, such as mel and mfcc:1-19."""
        return self.training.features.split("+")

    @property
    def stored(self) -> list[str]:
        """The cached features of its channels."""
        return [*dict.fromkeys(channel.stored for channel in self.channels)]

    @property
    def begun(self) -> bool:
        return (self.path / "run.json").is_file()

    def values(self, positions: Positions) -> list[NDArray[np.floating]]:
        """The stored values (B, rows, frames) of each channel for these clips."""
        channels = [channel.channel for channel in self.channels]
        return self.cache.batch(channels, positions)

    @property
    def filled(self) -> NDArray[np.float64]:
        """(N,) the share of the duration that each of its clips fills."""
        return self.cache.filled[self.table.index]

    @cached_property
    def classes(self) -> tuple[SoundClass, ...]:
        """The classes, in the order of probability columns."""
        entries = self.task.class_entries(self.table)
        return tuple(SoundClass(**entry) for entry in entries)

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.classes]

    @property
    def folds(self) -> list[int]:
        """Every fold that the protocol tests."""
        return self.cache.tested_folds(originals(self.table))

    @property
    def wanted_folds(self) -> list[int]:
        """The folds that FOLDS names, or every fold of the protocol."""
        return list(self.execution.folds) or self.folds

    @property
    def epochs(self) -> int:
        """Epochs of training; an exact solution takes one."""
        return self.training.resolved_epochs if self.model.kind.in_steps else 1

    def steps(self, folds: Sequence[int]) -> int:
        """The number of clips that all epochs of these folds train on."""
        return self.epochs * sum(len(self.split(fold).train) for fold in folds)

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class numbers by row of the cache's table; with tags (N, K), 1 for each
        label of a clip. Clips that are not used have -1.
        """
        used = self.task.targets(self.table[self.task.column], self.names)
        shape = len(self.cache.clips), *used.shape[1:]
        targets = np.full(shape, -1, used.dtype)
        targets[self.table.index] = used
        return targets

    @property
    def blocks(self) -> list[int]:
        """The numbers of each channel, or of each layer of a vector of layers, that an
        exact model weighs alike.
        """
        blocks = []
        for channel, width in zip(self.input.channels, self.input.widths):
            feature = self.cache[channel.stored]
            layers = [width]
            # its rows are numbered by a network's layers
            if feature.row_unit == "layer" and width == len(feature.row_axis):
                layers = np.unique(feature.row_axis, return_counts=True)[1].tolist()
            blocks += layers
        return blocks

    def indicator(self, positions: Positions) -> NDArray[np.bool_]:
        """(n, K): whether each of these clips has each class."""
        return indicator(self.targets[positions], len(self.classes))

    def scored(self, positions: Positions, **columns: object) -> pd.DataFrame:
        """A row for each clip: id, group, a window's ends, `columns`, target."""
        clips = self.cache.clips.iloc[positions]
        places = WINDOW_COLUMNS if has_windows(self.table) else ()
        rows = clips[["clip_id", "group", *places]]
        return rows.assign(**columns, target=clips[self.task.column])

    def split(self, fold: int, unusable: Collection[str] = ()) -> Split:
        """Train, validation and test clips of a fold, without the unusable ones."""
        table = self.table[~self.table["clip_id"].isin(list(unusable))]
        return fold_split(table, fold, val=self.training.val, seed=self.training.seed)


def make_plan(asked: RunOptions, network: str = "") -> Plan:
    """The plan of these options, of an own loop's `network` if it is named."""
    validate(asked)
    found = find_data(asked)
    settled = settle(asked, found, own_weights=bool(network))
    options, model = settled.options, found.model
    spec = InputSpec.choose(
        model.kind,
        found.channels,
        options,
        found.cache.filled[found.table.index],
        model.reads_padding,
    )
    augmenter = parse_augment(options.augment, model.kind.augmented_as)
    padding = "drop" if spec.drop_padding else "keep"
    training = part_of(
        options, Training, augment=str(augmenter) or "none", padding=padding
    )
    stored = dict.fromkeys(channel.stored for channel in spec.channels)
    data = digests(found.cache, stored, found.table)
    data |= found.task.digests(found.cache, training, found.channels)
    content = hashed_content(training, spec, model) | data
    if network:
        content["network"] = network
    name = label(
        options.features,
        network or model.label,
        differences(settled.named),
        digest(content),
    )
    return Plan(
        training=training,
        execution=part_of(options, Execution),
        told=settled.told,
        command=tuple(training_command(settled.named)),
        cache=found.cache,
        table=found.table,
        task=found.task,
        model=model,
        input=spec,
        augmenter=augmenter,
        content=content,
        data=data,
        path=options.runs / dataset_name(options.dataset, options.name) / name,
    )


# ---- the run's identity


def hashed_content(training: Training, spec: InputSpec, model: Model) -> dict[str, Any]:
    """The content of a run's hash without the data; a change of these entries, or of
    those of the data, needs a higher HASH_VERSION.

    version  HASH_VERSION
    options  the options of `Training` that are not at their defaults, so that a new
             option leaves every run its hash; a file of weights counts by its content
    untimed  only if a channel whose columns are not time enters with all its values
    """
    options = hashed_options(training)
    if "model" in options:  # a folder that it names counts by its content
        options["model"] = model.label
    weights = Path(training.weights)
    if training.pretrained and weights.is_file():
        options["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    content: dict[str, Any] = {"version": HASH_VERSION, "options": options}
    if model.reads_all_values and not all(spec.timed):
        content["untimed"] = "all values"
    return content


def hashed_options(training: Training) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {
        name: getattr(training, name)
        for name, own in fields(type(training)).items()
        if getattr(training, name) != own.default
    }


def differences(options: RunOptions) -> list[str]:
    """The last parts of a folder's name: options off their defaults, tag."""
    parts = []
    usual = {"task": "classes", "weights": "none", **suitable(options.weights)}
    for name, field in fields(Training).items():
        prefix = field.metadata.get("label", f"{name}=")
        value = getattr(options, name)
        if prefix is not None and value not in (field.default, usual.get(name)):
            shown = value
            if name == "weights":  # models/resnet18-mine.pth of resnet18 is mine
                shown = Path(value).stem.removeprefix(
                    f"{options.model.partition('@')[0]}-"
                )
            parts.append(f"{prefix}{shown}")
    if options.tag:
        parts.append(options.tag)
    return parts


def training_command(options: RunOptions) -> list[str]:
    """The NAME=value words of this configuration, without the dataset and the seed."""
    named = [f"FEATURES={options.features}", f"MODEL={options.model}"]
    apart = {"features", "model", "seed"}
    if options.task == "classes":
        apart.add("task")  # TASK=auto gives classes too
    others = [name for name in (*fields(Training), "tag") if name not in apart]
    return [*named, *option_words(options, others)]
