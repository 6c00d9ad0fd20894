"""What a run is, worked out from its options and the cache before anything is trained.

Everything that can be wrong with a request is said here; hash and folder follow from what is right.
"""

import dataclasses
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from commandline.options import ONE_ALONE, make_command, words
from commandline.registry import RequestError
from commandline.terminal import counted
from features_cache import Cache, Channel, cache_folder, dataset_name, parse_list, parse_set
from features_cache.layout import fingerprints
from features_cache.location import refuse_unknown
from features_cache.names import parse_channel
from features_cache.splits import Split, fold_split
from features_cache.table import originals, refuse_class_names
from results import run_folder
from results.config import digest, label
from results.run_folder import RunFolder
from train.augment import Augmenter, parse_augment, trained_shape
from train.data import Floats, Positions, Shape, grid_of, input_width, stored_shape
from train.models.registry import Architecture, Strides, resolve
from train.options import (
    AUTO_AUGMENT,
    MACHINE,
    PLACED,
    SWEPT,
    RunOptions,
    configuration,
    defaults,
    identity,
    protocol,
    unused,
    without_unused,
)

MUCH_PADDING = 0.2  # of the clips' time: with more, PADDING=auto leaves it out
FROM_WEIGHTS = "resnet18"  # in the default's place where WEIGHTS are given: texture statistics have none
NAMED_CLIPS = 3  # of those left out
SHARED = "recordings of theirs occur in the part that is tested or validated"
FOR_VECTORS = "mlp"  # the model where every channel is a vector and no other is named

# Fields whose value alone, or after one letter, says what it is; others are written field=value.
SHORT = {"task": "", "seed": "s", "epochs": "e", "batch": "b", "grid": "", "precision": "", "device": ""}


@dataclass(frozen=True)
class Plan:
    """One run, ready to train."""

    asked: RunOptions  # as given
    options: RunOptions  # the same with all that `auto` and the model decide
    model: Architecture
    cache: Cache
    channels: tuple[Channel, ...]
    table: pd.DataFrame  # clips that are done in every channel, the cache's row numbers as index
    absent: int  # clips that are not
    classes: list[dict[str, str]]  # name and category, in the order of the probability columns
    grid: Shape
    augmenter: Augmenter
    inputs: int  # C of a batch: the channels, of a model on vectors the numbers of a clip
    changed_strides: Strides  # of convolutions, by the rule of train/models/registry.py
    differences: list[str]  # of the options from the defaults or a recipe's, in short
    with_machine: list[str]  # the same with how the machine computes

    @property
    def names(self) -> list[str]:
        return [one["name"] for one in self.classes]

    @property
    def features(self) -> str:
        return "+".join(map(str, self.channels))

    @property
    def dataset(self) -> str:
        return dataset_name(self.options.dataset, self.options.name)

    @cached_property
    def path(self) -> Path:
        """The run's folder: the one of its label, or another one that holds the same run, as of before.

        Where the label's holds a run that is computed otherwise than was asked for, the label says how.
        """
        short, whole = (
            self.options.runs / self.dataset / label(self.features, self.model.name, differing, self.hash)
            for differing in (self.differences, self.with_machine)
        )
        if not (short / "run.json").is_file():
            same = run_folder.find_same(self.options.runs, self.dataset, [self.hash], self.options.tag)
            return same.path if same else short
        held = RunFolder(short).config
        options = held.get("options", {})
        asked = [name for name in MACHINE if getattr(self.asked, name) != defaults()[name]]
        otherwise = any(options.get(name) != self.identity.get(name) for name in asked)
        return whole if otherwise and held.get("hash") != self.hash else short

    @property
    def _as_given(self) -> RunOptions:
        """The options with AUGMENT=auto where that is what the model takes, so that no command repeats it."""
        automatic = parse_augment(self.model.augment or AUTO_AUGMENT[self.model.kind], self.model.kind)
        chosen = self.options.augment == (str(automatic) or "none")
        return dataclasses.replace(self.options, augment="auto") if chosen else self.options

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The options that can change predictions, every default resolved."""
        rates = {"lr": self.options.resolved_lr, "decay": self.options.resolved_decay}
        trained = rates if self.model.kind != "linear" else {}
        dropped = {"padding": "drop"} if self.filled is not None else {}
        exact = {**identity(self.options), "model": self.model.resolved, **trained}
        return {name: value for name, value in exact.items() if name != "padding"} | dropped

    @cached_property
    def filled(self) -> Floats | None:
        """(N,) by clip of the cache the share of the duration that it lasts; None where padding is kept."""
        wanted = self.options.padding
        if wanted == "keep" or self.model.kind == "wave":  # resizing would change a waveform's pitch
            return None
        if wanted == "auto" and (self.model.reads_padding or self.padding <= MUCH_PADDING):
            return None
        stays = padding_stays(self.options, self.cache, self.channels, self.table)
        return None if stays else self.cache.filled

    @property
    def padding(self) -> float:
        """The share of the clips' time that is padding."""
        return float(1 - self.cache.filled[self.table.index].mean())

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the hash is of: options, each feature's values by their fingerprints, the clips' labels."""
        exact = self.identity | ({"changed_strides": self.changed_strides} if self.changed_strides else {})
        if Path(self.options.weights).is_file():  # counts by its content, wherever it lies
            with Path(self.options.weights).open("rb") as file:
                exact["weights"] = hashlib.file_digest(file, "sha256").hexdigest()
        keys = self.cache.keys[self.table.index]
        features = {channel.stored: self.cache[channel].key for channel in self.channels}
        labels = self.table[["clip_id", "label", "category", "fold", "group", "copy_of"]]
        return {
            "options": exact,
            "cache": {name: digest(fingerprints(keys, key).tolist()) for name, key in features.items()},
            "clips": digest(labels.values.tolist()),
        }

    @cached_property
    def hash(self) -> str:
        return digest(self.content)

    def hash_in(self, precision: str) -> str:
        """The hash of the same run in another number format."""
        return digest(self.content | {"options": self.content["options"] | {"precision": precision}})

    @property
    def family(self) -> str:
        """The same for other seeds."""
        options, *others = self.content.values()
        return digest([{**options, "seed": None}, *others, self.options.tag])

    @property
    def folds(self) -> list[int]:
        """Every fold that the protocol tests."""
        return self.cache.tested_folds(originals(self.table))

    @property
    def wanted_folds(self) -> list[int]:
        """Those to train now."""
        return list(self.options.folds) or self.folds

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network is made for."""
        return self.inputs, *trained_shape(self.augmenter, self.grid)

    def fixed_statistics(self, network: nn.Module) -> nn.Module | None:
        """What the network computes first, where that is the same for every view of a clip: done once."""
        return getattr(network, "shift_invariant", None) if self.augmenter.only_shifts else None

    def batch_shape(self, network: nn.Module) -> tuple[int, int, int, int]:
        """(B, C, H, W) of what the network is trained on."""
        if statistics := self.fixed_statistics(network):
            return self.options.batch, self.inputs * int(statistics.size), 1, 1  # type: ignore[arg-type]
        return self.options.batch, *self.input_shape

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class numbers by row of the cache's table, -1 for clips that are not used."""
        found = np.full(len(self.cache.clips), -1)
        found[self.table.index] = pd.Index(self.names).get_indexer(_wanted(self.table, self.options.task))
        return found

    def split(self, fold: int, unusable: Collection[str] = ()) -> Split:
        """Train, validation and test clips of a fold, without those that proved unusable."""
        table = self.table[~self.table["clip_id"].isin(list(unusable))]
        return fold_split(table, fold, val=self.options.val, seed=self.options.seed)

    def positions(self, ids: Sequence[str] | NDArray[np.object_]) -> Positions:
        return self.cache.positions(np.asarray(ids, dtype=object)) if len(ids) else np.arange(0)

    def config(self) -> dict[str, Any]:
        """run.json, but for what is known only when training begins."""
        options = self.options
        features = [self.cache[channel] for channel in self.channels]
        return {
            "dataset": self.dataset,
            "synthetic": self.cache.synthetic,
            "features": self.features,
            **{
                name: getattr(options, name)
                for name in ("model", "task", "seed", "epochs", "augment", "val", "select")
            },
            "model_summary": self.model.summary,
            **({"member_models": self.model.member_names} if self.model.member_names else {}),
            "grid": "{}x{}".format(*self.grid),
            "tag": options.tag,
            "recipe": options.recipe,
            "note": options.note,
            "folds": self.folds,
            "classes": self.classes,
            "sample_rate": self.cache.sample_rate,
            "duration": self.cache.duration,
            "channels": [
                {
                    "stored": feature.stored,
                    "parameters": feature.attributes["parameters"],
                    "dtype": str(feature.dtype),
                    "rows": list(channel.rows or (0, feature.rows - 1)),
                }
                for channel, feature in zip(self.channels, features)
            ],
            "extraction": self.cache.extraction_cost([feature.stored for feature in features]),
            "protocol": protocol(options, self.model.kind, self.cache.published_test in self.folds),
            "hash": self.hash,
            "family": self.family,
            "options": self.identity,
            **({"changed_strides": self.changed_strides} if self.changed_strides else {}),
            "command": configuration(self._as_given),
            "cache": self.content["cache"],
            "clips": self.content["clips"],
        }


def make_plan(asked: RunOptions) -> Plan:
    """The plan of these options; RequestError with the first thing that is wrong.

    >>> make_plan(RunOptions(dataset="esc10", features="mel")).path
    PosixPath('runs/esc10/mel-resnet18+texture')
    """
    check_options(asked)
    options, cache = asked, open_cache(asked)
    channels = find_channels(cache, options)
    model = choose_model(options.model, cache, channels, options.weights)
    options = without_unused(dataclasses.replace(options, model=model.name), model.kind)
    if options.tracker:
        from train import trackers

        trackers.check_trackers(options.tracker)
    table, absent = find_clips(cache, channels, options)
    if options.padding == "drop" and padding_stays(options, cache, channels, table):
        options = dataclasses.replace(options, padding="auto")
    classes = find_classes(table, options.task)
    shapes = [stored_shape(cache, channel) for channel in channels]
    grid = grid_of({"wave": "native", "vector": "1x1"}.get(model.kind, options.grid), shapes)
    inputs = sum(input_width(model.kind, shape) for shape in shapes)
    automatic = model.augment or AUTO_AUGMENT[model.kind]
    augment = automatic if options.augment == "auto" else options.augment
    augmenter = parse_augment(augment, model.kind)
    device = options.device.split()[0].partition(":")[0]  # which of several GPUs, or how many, is no matter
    options = dataclasses.replace(options, device=device, features="+".join(map(str, channels)))
    recipe = RunOptions.build({"recipe": options.recipe} if options.recipe else {})
    standard = dataclasses.asdict(recipe)
    return Plan(
        asked=asked,
        options=dataclasses.replace(options, augment=str(augmenter) or "none"),
        model=model,
        cache=cache,
        channels=channels,
        table=table,
        absent=absent,
        classes=classes,
        grid=grid,
        augmenter=augmenter,
        inputs=inputs,
        changed_strides=model.changed_strides(inputs, len(classes), trained_shape(augmenter, grid)),
        differences=differences(options, standard),
        with_machine=differences(options, standard, machine=True),
    )


def check_options(options: RunOptions) -> None:
    """RequestError for a list, or what follows a validation score without one.

    Only a sweep takes lists; a path and AUGMENT around its commas may hold blanks.
    """
    for name in ("features", *SWEPT):
        value = getattr(options, name)
        several = isinstance(value, str) and len(re.sub(r"\s*,\s*", ",", value).split()) > 1
        if several and not Path(value).exists():
            if name == "features":
                parse_list(value)  # what is wrong with a name, such as a blank beside +, comes first
                joined = "+".join(value.split())
                raise RequestError(
                    f"FEATURES={value}: one run takes one set: join with + ({joined}), or make sweep"
                )
            raise RequestError(f"{name.upper()}={value}: expected one alone{ONE_ALONE}")
    if not options.device.split():
        raise RequestError("DEVICE is empty: give cpu, cuda, mps or auto")
    if options.val == "none":
        validated = {
            "SCHEDULE=plateau follows a validation score": options.schedule == "plateau",
            f"PATIENCE={options.patience} follows a validation score": options.patience > 0,
            "SKIP_TEST=1 leaves the test fold alone, so that nothing is scored": options.skip_test,
        }
        for what, asked in validated.items():
            if asked:
                raise RequestError(f"{what}: give VAL=group or VAL=next")
    if options.schedule == "onecycle" and options.warmup:
        raise RequestError(
            f"WARMUP={options.warmup}: onecycle has a rise of its own; give WARMUP=0 or SCHEDULE=cosine"
        )


def open_cache(options: RunOptions) -> Cache:
    refuse_unknown(options.dataset, options.data, options.name)
    folder = cache_folder(options.dataset, options.data, options.name)
    return Cache(folder, partial(_make_features, options))


def find_channels(cache: Cache, options: RunOptions) -> tuple[Channel, ...]:
    """The feature set's channels, each there and with the rows that are asked for."""
    channels = parse_set(options.features)
    lacking = [channel for channel in dict.fromkeys(channels) if channel not in cache]
    if lacking:
        raise RequestError(cache.not_there(channels, lacking))
    for channel in channels:
        cache.read(channel, np.arange(0))  # refuses rows that the feature has not
    # the name that the cache gives it: mel@n_mels=128 is mel
    return tuple(dataclasses.replace(parse_channel(cache[one].stored), rows=one.rows) for one in channels)


def choose_model(name: str, cache: Cache, channels: Sequence[Channel], weights: str = "") -> Architecture:
    """The model; in the default's place mlp where every channel is a vector, ResNet-18 with WEIGHTS.

    RequestError where the model cannot take the channels.
    """
    vectors = [channel.name for channel in channels if stored_shape(cache, channel)[1] == 1]
    if name == defaults()["model"] and len(vectors) == len(channels):
        return resolve(FOR_VECTORS)
    if name == defaults()["model"] and weights:
        name = FROM_WEIGHTS
    model = resolve(name)
    if reason := model.unfit([channel.name for channel in channels], dict.fromkeys(vectors)):
        raise RequestError(reason)
    return model


def _remedy(cache: Cache, channels: Sequence[Channel], *more: str) -> str:
    return cache.remedy(" ".join(channel.stored for channel in channels), *more)


def _make_features(options: RunOptions) -> str:
    """The command for a cache of this dataset, quoted for a shell."""
    return make_command("features", f"DATASET={options.dataset}", *words(options, ("name", "data")))


def find_clips(cache: Cache, channels: Sequence[Channel], options: RunOptions) -> tuple[pd.DataFrame, int]:
    """The clips that are done in every channel, with the copies that COPIES wants, and how many are not.

    RequestError where they are of fewer than two folds.
    """
    usable = cache.readable(channels)
    if not usable.any():
        raise RequestError(f"no clip has {options.features} in {cache.folder}: {_remedy(cache, channels)}")
    table = cache.clips[usable]
    folds, there = cache.tested_folds(originals(table)), originals(table)["fold"].unique()
    if unknown := sorted(set(options.folds) - set(folds)):
        tested = "the folds are" if len(folds) == len(there) else "the dataset's test fold is"
        raise RequestError(f"FOLDS={unknown[0]}: {tested} {' '.join(map(str, folds))}")
    if len(there) < 2:
        raise RequestError(f"{cache.folder} has fold {folds[0]} alone: a second one is needed to test on")
    asked = cache.clips if options.copies else originals(cache.clips)  # a copy not asked for is not missed
    absent = int((~usable[asked.index]).sum())
    if not options.copies:
        return originals(table), absent
    is_copy = table["copy_of"] != ""
    number = table[is_copy].groupby("copy_of").cumcount().reindex(table.index, fill_value=-1)
    there = int(number.max()) + 1
    if options.copies > there:
        copies = cache.clips["copy_of"].value_counts().drop("", errors="ignore").max()
        more = () if copies >= options.copies else (f"COPIES={options.copies}",)
        lacking = f"COPIES={options.copies}, and {options.features} has {there} altered copies of a clip"
        raise RequestError(f"{lacking}: {_remedy(cache, channels, *more)}")
    return table[number < options.copies], absent


def remarks(plan: Plan, splits: Mapping[int, Split], unusable: Mapping[str, str]) -> list[str]:
    """What is to be known before training: what is not as it was asked for, and which clips are left out.

    unusable  clip id -> reason. RequestError where a fold leaves clips of one class alone to train on.
    """
    asked, lines = plan.asked, []
    if plan.options.model == FOR_VECTORS != asked.model:
        lines.append(f"every channel of {plan.features} is a vector: MODEL={FOR_VECTORS} is trained")
    if plan.options.model == FROM_WEIGHTS != asked.model:
        whole = f"{asked.model}@weight={resolve(asked.model).weight:g}"
        lines.append(
            f"WEIGHTS are given: MODEL={FROM_WEIGHTS} is trained; MODEL={whole} asks for the ensemble"
        )
    if ignored := unused(asked, plan.model.kind):
        lines.append(f"{plan.model.name} ignores {', '.join(ignored).upper()}")
    if asked.padding == "drop" and plan.filled is None and plan.model.kind != "wave":
        reason = padding_stays(plan.options, plan.cache, plan.channels, plan.table)
        lines.append(f"PADDING=drop has no effect: {reason}")
    if plan.filled is not None:
        lines.append(f"{plan.padding:.0%} of the clips' time is padding, left out (PADDING=keep leaves it)")
    if plan.cache.published_test and plan.folds != [plan.cache.published_test]:
        lines.append(
            f"fold {plan.cache.published_test}, the dataset's test fold, has no clips: others are tested"
        )
    if plan.absent:
        lines.append(f"{counted(plan.absent, 'clip')} left out: {plan.features} is not there for them")
    if unusable:
        some = "; ".join(": ".join(pair) for pair in list(unusable.items())[:NAMED_CLIPS])
        remedy = "make features computes damaged ones again"
        lines.append(f"{counted(len(unusable), 'clip')} left out ({some}); {remedy}")
    for fold, split in splits.items():
        for ids, verb in ((split.train, "trained on"), (split.test, "tested")):
            present = set(plan.targets[plan.positions(ids)])
            if verb == "trained on" and len(present) < 2:
                lost = len(split.left_out)
                why = f" ({counted(lost, 'clip')} left out of training: {SHARED})" if lost else ""
                raise RequestError(
                    f"fold {fold} leaves clips of one class alone to train on{why}: give more clips or folds"
                )
            if lacking := [name for number, name in enumerate(plan.names) if number not in present]:
                lines.append(f"fold {fold}: no clip of {', '.join(lacking)} is {verb}")
        if lost := len(split.left_out):
            lines.append(f"fold {fold}: {counted(lost, 'clip')} left out of training: {SHARED}")
    return lines


def padding_stays(options: RunOptions, cache: Cache, channels: Sequence[Channel], table: pd.DataFrame) -> str:
    """Why PADDING=drop would leave nothing out, whatever the model; empty where it would."""
    if options.copies:
        return "the sounds of COPIES were moved within their padding"
    if all(cache[channel].frames == 1 for channel in channels):
        return "every channel has one frame"
    if (cache.filled[table.index] == 1).all():
        return "the cache knows of no clip shorter than the duration (make features reads missing lengths)"
    return ""


def find_classes(table: pd.DataFrame, task: str) -> list[dict[str, str]]:
    """Name and category of each class, by name; RequestError where there are fewer than two."""
    wanted = _wanted(table, task)
    if (wanted == "").any():
        clip = table["clip_id"][wanted == ""].iloc[0]
        raise RequestError(
            f"TASK={task}: clip {clip} and {(wanted == '').sum() - 1} more have none: it is the column "
            "`category` of the dataset's CSV, known by itself for ESC-50's classes; give TASK=classes"
        )
    pairs = (
        pd.DataFrame({"name": wanted, "category": table["category"]})
        .drop_duplicates("name")
        .sort_values("name")
    )
    if len(pairs) < 2:
        raise RequestError(f"one class only ({pairs['name'].iloc[0]}): training needs two or more")
    refuse_class_names(pairs["name"])
    return pairs.to_dict("records")


def _wanted(table: pd.DataFrame, task: str) -> pd.Series:
    return table["label" if task == "classes" else "category"]


def differences(options: RunOptions, standard: dict[str, Any], machine: bool = False) -> list[str]:
    """For a folder's name: what differs from `standard`, the defaults or a recipe's, in the fields' order.

    Words of the MACHINE only where `machine` asks for them.
    """
    parts = [Path(options.recipe).stem] if options.recipe else []
    for name, value in identity(options).items():
        if name not in PLACED and value != standard[name] and (machine or name not in MACHINE):
            parts.append(f"{SHORT[name]}{value}" if name in SHORT else f"{name}={value}")
    return [*parts, *([options.tag] if options.tag else [])]
