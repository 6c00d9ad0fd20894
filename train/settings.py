"""What a run is trained on, and with which options: every default, and every message
about an option. No torch.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.options import fields
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.names import Channel, parse_channel, parse_set
from featurestack.features_cache.table import has_tags, originals, untrainable
from featurestack.results.config import StoredChannel
from featurestack.results.selection import training_clips
from featurestack.scores.tasks import Task, claiming_name, task_of
from featurestack.train.augment import parse_augment
from featurestack.train.models import Model, resolve
from featurestack.train.network_input import describe_channel
from featurestack.train.options import (
    NATIVE,
    RunOptions,
    parse_grid,
    require_device,
    require_threads,
    suitable,
)

NO_FILES = ("auto", "none", "imagenet", "")  # values of WEIGHTS
FOR_VECTORS = "mlp"  # replaces the default if every channel is a vector


class Found(NamedTuple):
    """What a run is trained on."""

    cache: Cache
    features: tuple[Channel, ...]  # by the cache's names
    channels: tuple[StoredChannel, ...]
    # clips that are done in every channel; the index is the cache's row numbers
    table: pd.DataFrame
    task: Task
    model: Model


class Settled(NamedTuple):
    """The options of a run."""

    # as its command and its folder name them: with the weights, for another machine,
    # and no defaults that follow
    named: RunOptions
    options: RunOptions  # with every default
    told: tuple[str, ...]  # messages about options that differ from the given ones


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


# ---- the data


def find_data(asked: RunOptions) -> Found:
    """What the cache has for these options; RequestError if a part is missing."""
    cache = cache_of(asked.dataset, asked.data, asked.name, asked.features)
    features = find_features(cache, asked.features)
    channels = tuple(describe_channel(cache, feature) for feature in features)
    table = find_clips(cache, features, asked)
    task = task_of(choose_task(asked.task, cache, table))
    name = task.model if asked.model == RunOptions.model else asked.model
    model = choose_model(name, channels, task)
    task.refuse(table, channels)
    return Found(cache, features, channels, table, task, model)


def find_features(cache: Cache, text: str) -> tuple[Channel, ...]:
    """A feature set by the cache's names; RequestError if a part is missing."""
    asked = parse_set(text)
    cache.refuse_missing(asked)
    features = []
    for channel in asked:
        cache.read(channel, np.arange(0))  # refuses rows that the feature lacks
        stored = parse_channel(cache[channel].stored)  # mel@n_mels=128 is mel
        features.append(replace(stored, rows=channel.rows))
    return tuple(features)


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
    """The task of these clips: TASK=auto is a task that claims the cache, tags if any
    clip has several labels or none, else classes.
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


def choose_model(
    name: str, channels: Sequence[StoredChannel], task: Task | None = None
) -> Model:
    """The named model; the default becomes mlp if all channels are vectors."""
    if name == RunOptions.model and all(channel.frames == 1 for channel in channels):
        name = FOR_VECTORS
    model = resolve(name)
    if task and model.kind.answers != task.answers:
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


# ---- the options


def unused(model: Model) -> list[str]:
    """The options that a model has no use for, sorted."""
    parts = {None, *model.kind.uses}
    known = fields(RunOptions).items()
    return sorted(key for key, own in known if own.metadata.get("needs") not in parts)


def settle(asked: RunOptions, found: Found, *, own_weights: bool = False) -> Settled:
    """The options with every name resolved and every default in place; of an own loop,
    whose network has `own_weights`, without WEIGHTS.
    """
    model, task, default = found.model, found.task, vars(RunOptions())
    useless = unused(model)
    told = []
    if asked.model == RunOptions.model and model.name == FOR_VECTORS:
        told.append(f"every channel is a vector: MODEL={model.name} is trained")
    for given, channel in zip(parse_set(asked.features), found.features):
        if {*dict(channel.parameters)} - {*dict(given.parameters)}:
            told.append(f"{given}: {channel}, the only one in the cache")
    ignored = [name for name in useless if getattr(asked, name) != default[name]]
    if ignored:
        told.append(f"{model.name} ignores {', '.join(ignored).upper()}")
    if asked.val == "none" and asked.select != RunOptions.select:
        told.append("SELECT is ignored without VAL")
        ignored.append("select")
    elif asked.select not in task.metric.history_columns:
        raise RequestError(
            f"SELECT={asked.select}: TASK={task.name} has no such score; val_loss is"
            " one"
        )
    kept = replace(asked, **{name: default[name] for name in ignored})
    named = replace(
        kept,
        features="+".join(map(str, found.features)),
        model=model.name,
        task=task.name,
        augment=kept.augment or "none",
        # predictions do not depend on the number of GPUs, or on which they are
        device=kept.device.split()[0].partition(":")[0],
    )
    if own_weights:
        named = replace(named, weights="none")
    elif model.kind.in_steps and named.weights in ("auto", "imagenet"):
        from featurestack.train.pretrained import choose_weights

        weights = choose_weights(named.weights, model.base)
        named = replace(named, weights=weights)
    chosen: dict[str, Any] = {"norm": "row"}  # as a network from scratch
    if model.kind.in_steps:
        weights = "none" if named.weights in ("auto", "") else named.weights
        chosen = {
            name: value
            for name, value in suitable(weights).items()
            if name not in useless and getattr(named, name) == default[name]
        }
        if weights != "none" and chosen:
            words = " ".join(f"{key.upper()}={value}" for key, value in chosen.items())
            told.append(f"{words} by default, because training begins with {weights}")
        rates = {"lr": named.resolved_lr, "decay": named.resolved_decay}
        chosen |= {"weights": weights, **rates}
    if named.augment == "auto":
        chosen["augment"] = model.augment
    return Settled(named, replace(named, **chosen), tuple(told))
