"""The plan of a run, made from options and cache before training, without torch for the
catalogue's models.

`make_plan` refuses wrong options.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.options import fields, option_words, part_of
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.names import (
    Channel,
    dataset_name,
    parse_channel,
    parse_set,
)
from featurestack.features_cache.table import (
    WINDOW_COLUMNS,
    Ids,
    Split,
    fold_split,
    has_tags,
    has_windows,
    originals,
    untrainable,
)
from featurestack.results.config import SoundClass, StoredChannel, digest, label
from featurestack.results.selection import clips_digest, training_clips, values_digest
from featurestack.results.training_options import Training
from featurestack.scores.tasks import claiming_name, task_of
from featurestack.scores.tasks.base import Task
from featurestack.train.augment import Augmenter, parse_augment
from featurestack.train.models import Architecture, resolve
from featurestack.train.network_input import InputSpec, describe_channel
from featurestack.train.options import (
    NATIVE,
    Execution,
    RunOptions,
    parse_grid,
    require_device,
    require_threads,
    suitable,
)

# raised if the same hash would mean something else, as it would after the change of an
# option's default or of a model
HASH_VERSION = 1

Positions = NDArray[np.intp]  # rows of the clip table

LAYER = "layer"  # unit of rows that are numbered by a network's layers
NO_FILES = ("auto", "none", "imagenet", "")  # values of WEIGHTS
FOR_VECTORS = "mlp"  # replaces the default if every channel is a vector
DATA = ("cache", "clips")  # keys of the hash's content
NAMED_CLIPS = 3  # omitted clips that a message names, at most


@dataclass(frozen=True)
class Plan:
    """One run, ready to train."""

    training: Training  # options that the model ignores are at their defaults
    execution: Execution
    changed: tuple[str, ...]  # messages about options that differ from the given ones
    cache: Cache
    model: Architecture
    input: InputSpec
    augmenter: Augmenter
    # clips that are done in every channel; the index is the cache's row numbers
    table: pd.DataFrame
    content: dict[str, Any]  # content of its hash: `hashed_content`
    targets_beside: Mapping[str, str]  # its part beside the clips' table
    path: Path  # the run's folder
    # NAME=value words that train the configuration, see `training_command`
    command: tuple[str, ...]
    # feature sets from which its own was composed by their scores; 0 if it was not
    composed_from: int = 0
    # features that were tested alone when the command began
    tested_before: frozenset[str] = frozenset()
    # clips of the table whose features cannot be read; known once they were measured
    left_out: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        return digest(self.content)

    @property
    def data(self) -> dict[str, object]:
        """The digests of the data that the run belongs to, a part of its hash."""
        return {name: self.content[name] for name in (*DATA, *self.targets_beside)}

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

    @property
    def task(self) -> Task:
        return task_of(self.training.task)

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
            if feature.row_unit == LAYER and width == len(feature.row_axis):
                layers = np.unique(feature.row_axis, return_counts=True)[1].tolist()
            blocks += layers
        return blocks

    def indicator(self, positions: Positions) -> NDArray[np.bool_]:
        """(n, K): whether each of these clips has each class."""
        return self.task.indicator(self.targets[positions], len(self.classes))

    def scored(self, positions: Positions, **columns: object) -> pd.DataFrame:
        """A row for each clip: id, group, a window's ends, `columns`, target."""
        clips = self.cache.clips.iloc[positions]
        places = WINDOW_COLUMNS if has_windows(self.table) else ()
        rows = clips[["clip_id", "group", *places]]
        return rows.assign(**columns, target=clips[self.task.column])

    def present(self, clip_ids: Ids) -> set[str]:
        """The names of the classes that these clips have."""
        indicator = self.indicator(self.cache.positions(clip_ids))
        return {*np.array(self.names)[indicator.any(axis=0)]}

    def split(self, fold: int, unusable: Collection[str] = ()) -> Split:
        """Train, validation and test clips of a fold, without the unusable ones."""
        table = self.table[~self.table["clip_id"].isin(list(unusable))]
        return fold_split(table, fold, val=self.training.val, seed=self.training.seed)


def make_plan(asked: RunOptions, network: str = "") -> Plan:
    """The plan of these options, of an own loop's `network` if it is named."""
    validate(asked)
    cache = cache_of(asked.dataset, asked.data, asked.name, asked.features)
    features = find_features(cache, asked)
    channels = tuple(describe_channel(cache, feature) for feature in features)
    table = find_clips(cache, features, asked)
    task = task_of(choose_task(asked.task, cache, table))
    asked = replace(asked, task=task.name, model=task.stages.model_name(asked.model))
    model = choose_model(asked.model, channels, task)
    named, changed = resolve_options(asked, features, model)
    if network:
        named = replace(named, weights="none")
    named = with_weights(named, model)
    options, message = with_defaults(named, model)
    changed = (*changed, *filter(None, [message]))
    if options.select not in task.history_columns:
        raise RequestError(
            f"SELECT={options.select}: TASK={task.name} has no such score; val_loss is"
            " one"
        )
    task.refuse_clips(table)
    task.stages.refuse(options, channels)
    filled = cache.filled[table.index]
    spec = InputSpec.choose(model.kind, channels, options, filled, model.reads_padding)
    text = model.augment if options.augment == "auto" else options.augment
    augmenter = parse_augment(text, model.kind.augmented_as)
    training = exact_training(options, model, spec, augmenter)
    content = hashed_content(training, cache, spec, table, model)
    targets = task.stages.targets(cache, training, channels)
    content |= targets
    if network:
        content["network"] = network
    name = label(
        options.features, network or model.label, differences(options), digest(content)
    )
    dataset = dataset_name(options.dataset, options.name)
    return Plan(
        training=training,
        execution=part_of(options, Execution),
        changed=changed,
        cache=cache,
        model=model,
        input=spec,
        augmenter=augmenter,
        table=table,
        content=content,
        targets_beside=targets,
        path=options.runs / dataset / name,
        # it names the weights, for another machine, and no defaults that follow
        command=tuple(training_command(named)),
    )


# ---- the steps of make_plan


def validate(options: RunOptions) -> None:
    """RequestError for unknown names and for values that do not go together: what can
    be said before the cache and torch are there.
    """
    if options.tracker:
        from featurestack.trackers import tracker_of

        tracker_of(options.tracker)  # refused before there is a folder
    resolve(options.model)
    require_device(options.device)
    require_threads(options.threads)
    if options.grid not in ("auto", NATIVE):
        parse_grid(options.grid)
    if options.augment != "auto":
        parse_augment(options.augment, kind="")
    if options.weights not in NO_FILES and not Path(options.weights).is_file():
        raise RequestError(
            f"WEIGHTS={options.weights}: there is no such file; expected auto, none,"
            " imagenet or a file of weights"
        )
    reason = ""
    if options.schedule == "plateau":
        reason = "SCHEDULE=plateau follows a validation score"
    elif options.patience > 0:
        reason = f"PATIENCE={options.patience} follows a validation score"
    if reason and options.val == "none":
        raise RequestError(f"{reason}: give VAL=group or VAL=next")
    if options.schedule == "onecycle" and options.warmup:
        raise RequestError(
            f"WARMUP={options.warmup}: onecycle has its own warm-up; give WARMUP=0 or"
            " SCHEDULE=cosine"
        )


def find_features(cache: Cache, options: RunOptions) -> tuple[Channel, ...]:
    """The feature set by the cache's names; RequestError if a part is missing."""
    asked = parse_set(options.features)
    cache.refuse_missing(asked)
    features = []
    for channel in asked:
        cache.read(channel, np.arange(0))  # refuses rows that the feature lacks
        stored = parse_channel(cache[channel].stored)  # mel@n_mels=128 is mel
        features.append(replace(stored, rows=channel.rows))
    return tuple(features)


def choose_model(
    name: str,
    channels: Sequence[StoredChannel],
    task: Task | None = None,
) -> Architecture:
    """The named model; the default becomes mlp if all channels are vectors."""
    if name == RunOptions.model and all(channel.frames == 1 for channel in channels):
        name = FOR_VECTORS
    model = resolve(name)
    if task and model.kind.answers != task.stages.answers:
        raise RequestError(
            f"MODEL={model.name} answers {model.kind.answers}, and TASK={task.name}"
            " needs another model: leave MODEL out"
        )
    wrong = {channel.name for channel in channels if not model.kind.accepts(channel)}
    if wrong:
        raise RequestError(
            f"{model.name} takes {model.kind.takes}, not {', '.join(sorted(wrong))};"
            f" linear takes all, and {make_command('models')} shows what each model"
            " takes"
        )
    return model


def resolve_options(
    asked: RunOptions, features: Sequence[Channel], model: Architecture
) -> tuple[RunOptions, tuple[str, ...]]:
    """The options with resolved names, ignored ones at their defaults; messages."""
    ignored: dict[str, Any] = {}
    for name, field in fields(RunOptions).items():
        unused = field.metadata.get("needs") not in (None, *model.kind.uses)
        if unused and getattr(asked, name) != field.default:
            ignored[name] = field.default
    messages = []
    if asked.model == RunOptions.model != model.name:
        messages.append(f"every channel is a vector: MODEL={model.name} is trained")
    for given, channel in zip(parse_set(asked.features), features):
        if {*dict(channel.parameters)} - {*dict(given.parameters)}:
            messages.append(f"{given}: {channel}, the only one in the cache")
    if asked.val == "none" and asked.select != RunOptions.select:
        ignored["select"] = RunOptions.select
        messages.append("SELECT is ignored without VAL")
    if ignored:
        messages.append(f"{model.name} ignores {', '.join(sorted(ignored)).upper()}")
    # predictions do not depend on the number of GPUs, or on which they are
    device = asked.device.split()[0].partition(":")[0]
    named = replace(
        asked,
        features="+".join(map(str, features)),
        model=model.name,
        device=device,
        augment=asked.augment or "none",
    )
    return replace(named, **ignored), tuple(messages)


def with_weights(named: RunOptions, model: Architecture) -> RunOptions:
    """The options with the weights that training begins with, as `choose_weights`."""
    if not model.kind.in_steps or named.weights not in ("auto", "imagenet"):
        return named
    from featurestack.train.pretrained import choose_weights

    return replace(named, weights=choose_weights(named.weights, model.entry.name))


def with_defaults(named: RunOptions, model: Architecture) -> tuple[RunOptions, str]:
    """The options with the defaults that suit their weights, where none are given; a
    message about these, or ''.
    """
    if not model.kind.in_steps:  # it is standardised as a network from scratch
        return replace(named, norm="row"), ""
    weights = "none" if named.weights in ("auto", "") else named.weights
    known = fields(RunOptions)
    chosen: dict[str, Any] = {
        name: value
        for name, value in suitable(weights).items()
        if known[name].metadata["needs"] in model.kind.uses
        and getattr(named, name) == known[name].default
    }
    message = ""
    if weights != "none" and chosen:
        words = " ".join(f"{name.upper()}={value}" for name, value in chosen.items())
        message = f"{words} by default, because training begins with {weights}"
    return replace(named, weights=weights, **chosen), message


def find_clips(
    cache: Cache, features: Sequence[Channel], options: RunOptions
) -> pd.DataFrame:
    """The clips that are done in every channel."""
    table = training_clips(cache, features)
    if not len(originals(table)):
        remedy = cache.origin.remedy(" ".join(feature.stored for feature in features))
        raise RequestError(
            f"no clip has {options.features} in {cache.folder}: {remedy}"
        )
    tested = cache.tested_folds(originals(table))
    if unknown := sorted(set(options.folds) - set(tested)):
        raise RequestError(
            f"FOLDS={unknown[0]}: expected some of {' '.join(map(str, tested))}"
        )
    if reason := untrainable(table):
        raise RequestError(f"{cache.folder}: {reason}")
    return table


def choose_task(asked: str, cache: Cache, table: pd.DataFrame) -> str:
    """The task of these clips: TASK=auto is a room's task that claims the cache, tags
    if any clip has several labels or none, else classes.
    """
    fitting = "tags" if has_tags(table) else "classes"
    if asked == "auto":
        return claiming_name(cache.source) or fitting
    if asked == "classes" != fitting:
        raise RequestError(
            "TASK=classes needs one label per clip, and clips have several labels or"
            " none: give TASK=tags"
        )
    return asked


# ---- the run's identity


def hashed_content(
    training: Training,
    cache: Cache,
    spec: InputSpec,
    table: pd.DataFrame,
    model: Architecture,
) -> dict[str, Any]:
    """The content of a run's hash; a change of these entries needs a higher
    HASH_VERSION.

    version  HASH_VERSION
    options  the options of `Training` that are not at their defaults, so that a new
             option leaves every run its hash; a file of weights counts by its content
    cache    stored feature -> digest of its clips' fingerprints
    clips    digest of the clips' ids, labels, categories, folds, source recordings and
             originals
    untimed  only if a channel whose columns are not time enters with all its values
    network  only for a training loop of one's own: the network's name
    """
    options = hashed_options(training)
    if "model" in options:  # a folder that it names counts by its content
        options["model"] = model.label
    weights = weights_file(training)
    if weights:
        options["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    values = {
        channel.stored: values_digest(cache, channel.stored, table)
        for channel in spec.channels
    }
    content = {
        "version": HASH_VERSION,
        "options": options,
        "cache": values,
        "clips": clips_digest(table),
    }
    if model.reads_all_values and not all(spec.timed):
        content["untimed"] = "all values"
    return content


def weights_file(training: Training) -> Path | None:
    """The file that WEIGHTS names; None if it is the published one."""
    file = Path(training.weights)
    return file if training.pretrained and file.is_file() else None


def hashed_options(training: Training) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {
        name: getattr(training, name)
        for name, own in fields(type(training)).items()
        if getattr(training, name) != own.default
    }


def exact_training(
    options: RunOptions, model: Architecture, spec: InputSpec, augmenter: Augmenter
) -> Training:
    """The options of the hash, `auto` resolved if the machine does not decide."""
    exact: dict[str, Any] = {
        "model": model.name,
        "augment": str(augmenter) or "none",
        "padding": "drop" if spec.drop_padding else "keep",
    }
    if model.kind.in_steps:
        exact["lr"] = options.resolved_lr
        exact["decay"] = options.resolved_decay
    return replace(part_of(options, Training), **exact)


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


def protocol(training: Training, *, in_steps: bool, published_test: bool) -> str:
    """The protocol in words: tested and training clips, epochs, model selection.

    in_steps        whether the model has epochs; else it has an exact solution
    published_test  whether only the dataset's published test fold is tested
    """
    aside = {"next": "the next fold", "group": "15 % of the training groups"}
    others = "the others"
    epochs = f"epochs {training.epochs}{start_in_words(training)}, last epoch"
    if training.val != "none":
        others = f"the others without {aside[training.val]}, which validate"
        epochs += f", and best epoch by {training.select}"
    if published_test:
        tested = "the dataset's test fold tested"
    else:
        tested = "each fold tested"
    fitted = epochs if in_steps else "exact solution"
    return f"{tested}, trained on {others}; {fitted}"


def start_in_words(training: Training) -> str:
    """The weights that training begins with; '' from scratch."""
    if not training.pretrained:
        return ""
    if training.weights == "imagenet":
        return " from ImageNet's weights"
    return f" from the weights in {Path(training.weights).name}"
