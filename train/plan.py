"""Plan a run before training: its data, its options with every default, its identity.
Nothing here needs torch.

The hash covers the options, clips and feature values that can change predictions. The
folder's name shows the options that differ from the defaults; it is never parsed.
"""

import hashlib
import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base import DEFINING
from featurestack.base.errors import RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.json_content import digest
from featurestack.base.options import (
    VALIDATION_SHARE,
    fields,
    no_effect,
    option_words,
    part_of,
    text_of,
)
from featurestack.base.registry import object_at
from featurestack.comparison.metrics import indicator
from featurestack.comparison.scores import suited
from featurestack.features_cache import clip_table
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.datasets import dataset_name
from featurestack.features_cache.feature_names import FeatureName, parse_set
from featurestack.features_cache.folds import redrawn
from featurestack.features_cache.identity import sounds_of
from featurestack.results.config import (
    OF_EVERY_RUN,
    RUN_FORMAT,
    RunConfig,
    SoundClass,
)
from featurestack.results.run_folder import folder_name
from featurestack.results.same_run import data_digests
from featurestack.results.splits import Split, fold_split
from featurestack.results.tasks import TASKS, Task
from featurestack.results.training_options import (
    FROM_WEIGHTS,
    Training,
    suitable,
)
from featurestack.train.augment import Augmenter, parse_augment
from featurestack.train.models import Architecture, choose_model, resolve
from featurestack.train.network_input import InputSpec, describe_channel, find_features
from featurestack.train.options import (
    NATIVE,
    RunOptions,
    parse_grid,
    require_device,
)

Positions = NDArray[np.intp]  # rows of the clip table

# raised when the same hash would mean something else, such as after a change of an
# option's default or of a model
HASH_VERSION = 1
# share of padded clips above which windows of predict have the clips' median length
PADDED = 0.1
VERSIONED = ("torch", "numpy", "scipy", "h5py")
NO_FILES = ("auto", "none", "imagenet", "")  # values of WEIGHTS


@dataclass(frozen=True)
class Plan:
    """One run, ready to train."""

    config: RunConfig  # the run's record before its training
    options: RunOptions  # as given
    messages: tuple[str, ...]  # about options that differ from those given
    cache: Cache
    table: pd.DataFrame
    task: Task
    model: Architecture
    input: InputSpec
    augmenter: Augmenter
    path: Path  # the run's folder

    @property
    def training(self) -> Training:
        """What can change predictions, with every default."""
        return self.config.options

    @property
    def channel_names(self) -> list[str]:
        """The channels' names in the feature set, such as mel and mfcc:1-19."""
        return self.config.features.split("+")

    @property
    def begun(self) -> bool:
        return (self.path / "run.json").is_file()

    @property
    def names(self) -> list[str]:
        """The classes' names, in the order of the columns of probabilities."""
        return [entry.name for entry in self.config.classes]

    def steps(self, folds: Sequence[int]) -> int:
        """The number of clips trained on in all epochs of these folds."""
        clips = sum(len(self.split(fold).train) for fold in folds)
        return self.training.resolved_epochs * clips

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class numbers by row of the cache's table, or with tags (N, K), 1 for
        each label of a clip. Unused clips have -1.
        """
        used = self.task.targets(self.table[self.task.column], self.names)
        shape = len(self.cache.clips), *used.shape[1:]
        targets = np.full(shape, -1, used.dtype)
        targets[self.table.index] = used
        return targets

    @property
    def blocks(self) -> list[int]:
        """The sizes of the blocks of numbers that an exact model weighs equally: a
        block is a channel, or one layer in a vector of a network's layers.
        """
        blocks = []
        for channel, width in zip(self.input.channels, self.input.widths):
            feature = self.cache[channel.stored]
            layers = [width]
            # its row axis holds the numbers of a network's layers
            if feature.row_unit == "layer" and width == len(feature.row_axis):
                layers = np.unique(feature.row_axis, return_counts=True)[1].tolist()
            blocks += layers
        return blocks

    def indicator(self, positions: Positions) -> NDArray[np.bool_]:
        """(n, K): whether each of these clips has each class."""
        return indicator(self.targets[positions], len(self.names))

    def scored(self, positions: Positions, **columns: object) -> pd.DataFrame:
        """A table with a row a clip: id, group, a window's ends, `columns`, target."""
        clips = self.cache.clips.iloc[positions]
        places = clip_table.WINDOW_COLUMNS if clip_table.has_windows(self.table) else ()
        rows = clips[["clip_id", "group", *places]]
        return rows.assign(**columns, target=clips[self.task.column])

    def split(self, fold: int, unusable: Collection[str] = ()) -> Split:
        """Train, validation and test clips of a fold, without the unusable ones."""
        table = self.table[~self.table["clip_id"].isin(list(unusable))]
        left = set(clip_table.originals(table)["fold"])
        if lost := [each for each in self.config.folds if each not in left]:
            remedy = self.cache.remedy(" ".join(self.config.cache))
            features = self.config.features
            raise RequestError(
                f"no clip of fold {lost[0]} has {features} that can be read: {remedy}"
            )
        return fold_split(table, fold, val=self.training.val, seed=self.training.seed)


# ---- the data


def find_clips(
    cache: Cache, features: Sequence[FeatureName], options: RunOptions
) -> pd.DataFrame:
    """The clips that are done in every channel, in the folds of SEED."""
    clips = redrawn(cache.clips, options.seed) if cache.folds_drawn else cache.clips
    table = clips[cache.readable(features)]
    if not len(clip_table.originals(table)):
        remedy = cache.remedy(" ".join(feature.stored for feature in features))
        raise RequestError(
            f"no clip has {options.features} in {cache.folder}: {remedy}"
        )
    tested = cache.tested_folds(clip_table.originals(table))
    if unknown := sorted(set(options.folds) - set(tested)):
        raise RequestError(
            f"FOLDS={unknown[0]}: expected some of {' '.join(map(str, tested))}"
        )
    if reason := clip_table.untrainable(table):
        raise RequestError(f"{cache.folder}: {reason}")
    return table


def choose_task(name: str, table: pd.DataFrame) -> Task:
    """The task of TASK; auto is tags if a clip has several labels or none."""
    fitting = "tags" if clip_table.has_tags(table) else "classes"
    if name == "classes" != fitting:
        raise RequestError(
            "TASK=classes needs one label per clip, and clips have several labels or"
            " none: give TASK=tags"
        )
    return TASKS[fitting if name == "auto" else name]


# ---- the options


def validate(options: RunOptions) -> None:
    """RequestError for unknown names and for values that contradict each other, as far
    as can be told without the cache and torch.
    """
    if options.tracker:
        object_at(OPTIONS["tracker"])(options.tracker)  # may refuse
    resolve(options.model)
    require_device(options.device)
    if options.grid not in ("auto", NATIVE):
        parse_grid(options.grid)
    if options.augment != "auto":
        parse_augment(options.augment, kind="")
    if options.weights not in NO_FILES and not Path(options.weights).is_file():
        raise RequestError(
            f"WEIGHTS={options.weights}: there is no such file; expected auto, none,"
            " imagenet or a file of weights"
        )
    patience = f"PATIENCE={options.patience}" if options.patience else ""
    following = "SCHEDULE=plateau" if options.schedule == "plateau" else patience
    if following and options.val == "none":
        raise RequestError(
            f"{following} follows a validation score: give VAL=group or VAL=next"
        )


def defaults(named: RunOptions, model: Architecture) -> dict[str, Any]:
    """The values of options that follow from the model and its weights."""
    chosen: dict[str, Any] = {"norm": "row"}  # as for a network from scratch
    if model.kind.in_steps:
        weights = "none" if named.weights in ("auto", "") else named.weights
        default, useless = vars(RunOptions()), model.unused
        chosen = {
            name: value
            for name, value in suitable(weights).items()
            if name not in useless and getattr(named, name) == default[name]
        }
        chosen |= {"weights": weights, "lr": named.resolved_lr}
    if named.augment == "auto":
        chosen["augment"] = model.augment
    return chosen


def settle(
    request: RunOptions,
    features: Sequence[FeatureName],
    model: Architecture,
    task: Task,
) -> tuple[RunOptions, RunOptions, list[str]]:
    """Return the options as the run's command and folder name them, the same options
    with every default, and messages about the options that were changed.
    """
    default = vars(RunOptions())
    messages = []
    if request.model == RunOptions.model != model.name:
        messages.append(f"every channel is a vector: MODEL={model.name} is trained")
    for parsed, channel in zip(parse_set(request.features), features):
        if {*dict(channel.parameters)} - {*dict(parsed.parameters)}:
            messages.append(f"{parsed}: {channel}, the only one in the cache")

    # options without effect go back to their defaults
    ignored = [name for name in model.unused if getattr(request, name) != default[name]]
    if ignored:
        messages.append(no_effect(request, ignored, f"MODEL={model.name}"))
    if model.settings.get("fusion") == "streams" and len(features) > 1:
        messages.append(
            f"MODEL={model.name} reads each channel by itself, {len(features)} times"
            f" the work of {model.base}, which reads them as one image"
        )
    if request.val != "none" and not model.kind.in_steps:
        takes = f"VAL={request.val} only costs MODEL={model.name} training clips"
        messages.append(f"{takes}: it chooses nothing by validation")
    if request.val == "none" and request.select != RunOptions.select:
        messages.append("SELECT= is ignored without VAL=")
        ignored.append("select")
    elif request.select not in task.metric.history_columns:
        raise RequestError(
            f"SELECT={request.select}: TASK={task.name} has no such score; give"
            " val_loss"
        )
    named = replace(request, **{name: default[name] for name in ignored})

    # names as they are in the cache and the registries
    named = replace(
        named,
        features="+".join(map(str, features)),
        model=model.name,
        task=task.name,
        augment=named.augment or "none",
        # predictions do not depend on which GPU it is
        device=named.device.partition(":")[0],
    )
    if model.kind.in_steps and named.weights in ("auto", "imagenet"):
        from featurestack.train.pretrained import choose_weights

        weights = choose_weights(named.weights, model.base)
        named = replace(named, weights=weights)

    chosen = defaults(named, model)
    options = replace(named, **chosen)
    changed = [
        f"{each.upper()}={chosen[each]}" for each in FROM_WEIGHTS if each in chosen
    ]
    if options.pretrained and changed:
        messages.append(
            f"{' '.join(changed)} by default, because training begins with"
            f" {options.weights}"
        )
    return named, options, messages


# ---- the run's identity


def hashed_content(
    training: Training, spec: InputSpec, model: Architecture
) -> dict[str, Any]:
    """What a run's hash covers besides the data; a change of these entries, or of those
    for the data, needs a higher HASH_VERSION.

    version  HASH_VERSION
    options  options of `Training` that differ from their defaults, so that a new option
             changes no hash; a file of weights counts by its content
    untimed  only if a channel whose columns are not time enters with all its values
    code     only for a user's own model, whose code may change under the same name

    `make_plan` adds `folds`, but only if SEED has drawn them.
    """
    options = hashed_options(training)
    weights = Path(training.weights)
    if training.pretrained and weights.is_file():
        options["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    content: dict[str, Any] = {"version": HASH_VERSION, "options": options}
    all_values = model.kind.summarised or model.takes_planes
    if all_values and not all(spec.timed):
        content["untimed"] = "all values"
    if model.code:
        content["code"] = model.code
    return content


def hashed_options(training: Training) -> dict[str, Any]:
    return {
        name: getattr(training, name)
        for name, option in fields(type(training)).items()
        if getattr(training, name) != option.default
    }


def name_parts(options: RunOptions) -> list[str]:
    """The last parts of a folder's name: options not at their defaults, and the tag."""
    parts = []
    usual = {"task": "classes", "weights": "none", **suitable(options.weights)}
    for name, field in fields(Training).items():
        prefix = field.metadata.get("label", f"{name}=")
        value = getattr(options, name)
        if prefix is not None and value not in (field.default, usual.get(name)):
            shown = text_of(value)
            if name == "weights":  # resnet18's models/resnet18-mine.pth becomes mine
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


def make_plan(request: RunOptions) -> Plan:
    """The plan of these options."""
    validate(request)
    cache = cache_of(request.dataset, request.data, request.name, request.features)
    features = find_features(cache, request.features)
    channels = tuple(describe_channel(cache, feature) for feature in features)
    table = find_clips(cache, features, request)
    task = choose_task(request.task, table)
    model = choose_model(request.model, channels)
    task.refuse(table)

    named, options, messages = settle(request, features, model, task)
    filled = cache.filled[table.index]
    spec = InputSpec.choose(model.kind, channels, options, filled, model.reads_padding)
    augmenter = parse_augment(options.augment, model.kind.name)
    padding = "drop" if spec.drop_padding else "keep"
    training = part_of(
        options, Training, augment=str(augmenter) or "none", padding=padding
    )

    data = facts_of_data(cache, table, task, features)
    folds = data["folds"]
    originals = clip_table.originals(table)
    tested = originals[originals["fold"].isin(folds)][task.column]
    names = [entry.name for entry in data["classes"]]
    labels = indicator(task.targets(tested, names), len(names))
    # uneven classes are ranked by another score than the task's
    if training.balance == "none" and suited(task.metric, labels).balanced:
        messages.append(
            "classes are uneven: the model is fitted for accuracy, and judged by"
            " balanced accuracy; BALANCE=loss fits it for balanced accuracy"
        )
    content = hashed_content(training, spec, model)
    content |= {name: data[name] for name in ("cache", "clips")}
    seedless = content | {"options": content["options"] | {"seed": None}}
    if training.seed and cache.folds_drawn:
        content["folds"] = "drawn"
    hash_ = digest(content)
    name = folder_name(options.features, model.name, name_parts(named), hash_)
    path = request.runs / dataset_name(request.dataset, request.name) / name
    versions = {library: version(library) for library in VERSIONED}
    config = RunConfig(
        format_version=RUN_FORMAT,
        made_by="train",
        dataset=path.parent.name,
        **{name: getattr(training, name) for name in OF_EVERY_RUN},
        training=training,
        tag=request.tag,
        note=request.note,
        channels=channels,
        protocol=protocol(training, model, published=cache.published_test in folds),
        hash=hash_,
        family=digest([seedless, request.tag]),
        command=tuple(training_command(named)),
        exact=not model.kind.in_steps,
        own_code=tuple(DEFINING),
        code=model.code,
        input_grid="x".join(map(str, spec.grid)),
        versions={"python": platform.python_version(), **versions},
        **data,
    )
    return Plan(
        config=config,
        options=request,
        messages=tuple(messages),
        cache=cache,
        table=table,
        task=task,
        model=model,
        input=spec,
        augmenter=augmenter,
        path=path,
    )


def facts_of_data(
    cache: Cache, table: pd.DataFrame, task: Task, features: Sequence[FeatureName]
) -> dict[str, Any]:
    """The keys of run.json that say on what a run is trained. The digests are of the
    cache's folds, so that all seeds have the same.
    """
    stored = dict.fromkeys(cache[feature].stored for feature in features)
    sounds = sounds_of(cache.sources.loc[table.index])
    by_fold = sounds.groupby(table["fold"]).unique()
    filled, clip_seconds = cache.filled[table.index], None
    if np.mean(filled < 1) > PADDED:
        clip_seconds = round(float(np.median(filled)) * cache.duration, 3)
    return {
        "synthetic": cache.synthetic,
        "folds": tuple(cache.tested_folds(clip_table.originals(table))),
        "folds_drawn": cache.folds_drawn,
        "classes": tuple(SoundClass(**entry) for entry in task.class_entries(table)),
        "sample_rate": cache.sample_rate,
        "duration": cache.duration,
        "clip_seconds": clip_seconds,
        "cache_megabytes": cache.megabytes(features),
        "identity": str(replace(cache.identity, sounds=frozenset())),
        "sounds": {
            str(fold): "".join(sorted(of_fold)) for fold, of_fold in by_fold.items()
        },
        **data_digests(cache, stored, cache.clips.loc[table.index]),
    }


def protocol(training: Training, model: Architecture, *, published: bool) -> str:
    """The protocol in words: test and training clips, epochs, model selection.
    `published` says that the one tested fold is the dataset's own.
    """
    tested, others, fitted = "each fold", "the others", "exact solution"
    if published:
        tested = "the dataset's test fold"
    start = best = ""
    if training.weights == "imagenet":
        start = " from ImageNet's weights"
    elif training.pretrained:
        start = f" from the weights in {Path(training.weights).name}"
    if training.val != "none":
        share = f"{100 * VALIDATION_SHARE:g} % of the training groups"
        aside = {"next": "the next fold", "group": share}
        others = f"the others except {aside[training.val]} (validation)"
        best = f", and best epoch by {training.select}"
    if model.kind.in_steps:
        fitted = f"epochs {training.epochs}{start}, last epoch{best}"
    return f"{tested} is tested by a model trained on {others}; {fitted}"
