"""What a run is, worked out from its options and the cache before anything is trained. No torch.

Wrong options are refused here; the run's hash and its folder follow.
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

from commandline.errors import RequestError
from commandline.options import ONE_ALONE
from commandline.terminal import counted
from features_cache import Cache, Channel, dataset_name, parse_set
from features_cache.cache import open_cache
from features_cache.feature_file import fingerprints
from features_cache.names import parse_channel
from features_cache.splits import Split, fold_split
from features_cache.table import originals, refuse_class_names
from results.config import digest, label
from train import extras
from train.augment import Augmenter, parse_augment, trained_shape
from train.models.registry import Architecture, resolve
from train.options import (
    AUTO_AUGMENT,
    PLACED,
    SWEPT,
    RunOptions,
    configuration,
    identity,
    parse_grid,
    protocol,
    unused,
)

Positions = NDArray[np.intp]  # rows of the clip table
Shape = tuple[int, int]  # rows, frames
Floats = NDArray[np.float64]

HASH_VERSION = 2  # of `hashed_content`: to be increased if the same hash would stand for something else
MUCH_PADDING = 0.2  # of the clips' time: with more, PADDING=auto leaves it out
FROM_WEIGHTS = "resnet18"  # in the default's place if WEIGHTS are given: texture statistics have none
FOR_VECTORS = "mlp"  # likewise if every channel is a vector
NAMED_CLIPS = 3  # of those left out
TAKEN = {"wave": "waveform alone", "image": "feature maps, no waveform and no vector (one frame)"}
SHARED = "recording occurs in the part that is tested or validated"

# Fields whose value alone, or after one letter, says what it is; others are written field=value.
SHORT = {"task": "", "seed": "s", "epochs": "e", "batch": "b", "grid": "", "precision": "", "device": ""}


@dataclass(frozen=True)
class Plan:
    """One run, ready to train."""

    asked: RunOptions  # as given
    options: RunOptions  # the same with resolved names; what the model ignores is at its default
    cache: Cache
    model: Architecture
    channels: tuple[Channel, ...]
    augmenter: Augmenter
    table: pd.DataFrame  # clips that are done in every channel, the cache's row numbers as index
    shape: tuple[int, int, int]  # (C, rows, frames) of a clip before augmentation
    content: dict[str, Any]  # what the hash is of, see `hashed_content`
    path: Path  # the run's folder

    @property
    def grid(self) -> Shape:
        return self.shape[1:]

    @cached_property
    def classes(self) -> list[dict[str, str]]:
        """Name and category of each class, by name: in the order of the probability columns."""
        names = self.table[class_column(self.options.task)]
        pairs = pd.DataFrame({"name": names, "category": self.table["category"]})
        return pairs.drop_duplicates("name").sort_values("name").to_dict("records")

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self.classes]

    @property
    def dataset(self) -> str:
        return self.path.parent.name

    @property
    def filled(self) -> Floats | None:
        """(N,) the share of each cached clip that is not padding; None if padding is kept."""
        return self.cache.filled if "padding" in self.content["options"] else None

    @cached_property
    def timed(self) -> tuple[bool, ...]:
        """Whether each channel's columns are frames of time."""
        return tuple(is_time(self.cache[channel].frame_unit) for channel in self.channels)

    @property
    def hash(self) -> str:
        return digest(self.content)

    @property
    def folds(self) -> list[int]:
        """Every fold that the protocol tests."""
        return self.cache.tested_folds(originals(self.table))

    @property
    def wanted_folds(self) -> list[int]:
        """Those that FOLDS names, finished or not."""
        return list(self.options.folds) or self.folds

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network is made for."""
        return self.shape[0], *trained_shape(self.augmenter, self.grid)

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(N,) class numbers by row of the cache's table, -1 for clips that are not used."""
        numbers = np.full(len(self.cache.clips), -1)
        classes = self.table[class_column(self.options.task)]
        numbers[self.table.index] = pd.Index(self.names).get_indexer(classes)
        return numbers

    def scored(self, positions: Positions, **columns: object) -> pd.DataFrame:
        """The leading columns of predictions.csv for these clips; `columns`: split, selection."""
        target = np.array(self.names, object)[self.targets[positions]]
        return self.cache.clips.iloc[positions][["clip_id", "group"]].assign(**columns, target=target)

    def split(self, fold: int, unusable: Collection[str] = ()) -> Split:
        """Train, validation and test clips of a fold, without those that proved unusable."""
        table = self.table[~self.table["clip_id"].isin(list(unusable))]
        return fold_split(table, fold, val=self.options.val, seed=self.options.seed)

    def config(self) -> dict[str, Any]:
        """run.json, except what only training tells."""
        options = self.options
        model = self.model
        exact = self.content["options"] | {"weights": options.weights}
        seedless = self.content | {"options": self.content["options"] | {"seed": None}}
        named = ("features", "model", "task", "seed", "epochs", "val", "select", "tag", "recipe", "note")
        return {
            "dataset": self.dataset,
            "synthetic": self.cache.synthetic,
            **{name: getattr(options, name) for name in named},
            "augment": exact["augment"],
            "model_summary": model.summary,
            **({"member_models": model.member_names} if model.member_names else {}),
            "grid": "{}x{}".format(*self.grid),
            "folds": self.folds,
            "classes": self.classes,
            "sample_rate": self.cache.sample_rate,
            "duration": self.cache.duration,
            "channels": [
                {
                    "stored": feature.stored,
                    "parameters": feature.parameters,
                    "dtype": feature.dtype,
                    "rows": list(channel.rows or (0, feature.rows - 1)),
                    "frame_unit": feature.frame_unit,
                }
                for channel, feature in zip(self.channels, map(self.cache.__getitem__, self.channels))
            ],
            "extraction": self.cache.extraction_cost(self.channels),
            "protocol": protocol(options, model.kind, self.cache.published_test in self.folds),
            "hash": self.hash,
            "hash_version": HASH_VERSION,
            "family": digest([seedless, options.tag]),
            "options": exact,
            "command": configuration(options),
            **{name: self.content[name] for name in ("cache", "clips")},
        }


def make_plan(asked: RunOptions) -> Plan:
    """The plan of these options; RequestError with the first thing that is wrong.

    >>> make_plan(RunOptions(dataset="esc10", features="mel")).path
    PosixPath('runs/esc10/mel-resnet18+texture')
    """
    check_options(asked)
    cache = open_cache(asked)
    channels = find_channels(cache, asked)
    model = choose_model(asked.model, cache, channels, asked.weights)
    features = "+".join(map(str, channels))
    device = asked.device.split()[0].partition(":")[0]  # which of several GPUs, or how many, is no matter
    named = replace(asked, features=features, model=model.name, device=device)
    options = replace(named, **unused(named, model.kind))
    if options.tracker:
        extras.load("trackers").check_trackers(options.tracker)
    table = find_clips(cache, channels, options)
    names = table[class_column(options.task)]
    if (names == "").any():
        clip = table["clip_id"][names == ""].iloc[0]
        raise RequestError(
            f"TASK={options.task}: clip {clip} has no category, the column of the dataset's CSV; "
            "give TASK=classes"
        )
    if names.nunique() < 2:
        raise RequestError(f"one class only ({names.iloc[0]}): training needs two or more")
    refuse_class_names(names)
    shapes = [stored_shape(cache, channel) for channel in channels]
    text = {"wave": "native", "vector": "1x1", "linear": "1x1"}.get(model.kind, options.grid)
    largest = max(rows for rows, _ in shapes), max(frames for _, frames in shapes)
    grid = largest if text == "native" else parse_grid(text)
    inputs = sum(input_width(model.kind, shape) for shape in shapes)
    automatic = model.augment or AUTO_AUGMENT.get(model.kind, "none")
    augmenter = parse_augment(automatic if options.augment == "auto" else options.augment, model.kind)
    exact = identity(options) | {"model": model.resolved, "augment": str(augmenter) or "none"}
    if model.kind != "linear":
        exact |= {"lr": options.resolved_lr, "decay": options.resolved_decay}
    exact.pop("padding", None)
    filled = cache.filled[table.index]
    short = filled.min() < 1 and any(frames > 1 for _, frames in shapes)
    # resizing would change the pitch of a waveform; copies may have their sound elsewhere in the padding
    if short and model.kind != "wave" and not options.copies:
        much = not model.reads_padding and 1 - filled.mean() > MUCH_PADDING
        if options.padding == "drop" or (options.padding == "auto" and much):
            exact["padding"] = "drop"
    content = hashed_content(exact, cache, channels, table)
    standard = RunOptions.build({"recipe": options.recipe})
    name = label(options.features, model.name, differences(options, standard), digest(content))
    path = options.runs / dataset_name(options.dataset, options.name) / name
    return Plan(asked, options, cache, model, channels, augmenter, table, (inputs, *grid), content, path)


def hashed_content(
    exact: Mapping[str, Any], cache: Cache, channels: Sequence[Channel], table: pd.DataFrame
) -> dict[str, Any]:
    """Everything that can change predictions; whoever changes this raises HASH_VERSION.

    options  each `auto` replaced by what it stands for, except what the machine decides: PRECISION=auto
             stays auto. Weights from a file count by their content
    cache    of each stored feature the digest of its clips' fingerprints
    clips    the digest of the clips' ids, labels, categories, folds, source recordings, originals
    """
    if Path(exact["weights"]).is_file():
        content = Path(exact["weights"]).read_bytes()
        exact = {**exact, "weights": hashlib.sha256(content).hexdigest()}
    keys = cache.keys[table.index]
    features = {channel.stored: cache[channel].key for channel in channels}
    labels = table[["clip_id", "label", "category", "fold", "group", "copy_of"]]
    return {
        "version": HASH_VERSION,
        "options": exact,
        "cache": {name: digest(fingerprints(keys, key).tolist()) for name, key in features.items()},
        "clips": digest(labels.values.tolist()),
    }


def check_options(options: RunOptions) -> None:
    """RequestError for a list where one value is expected, or for values that do not go together.

    FOLDS and DEVICE apart, only a sweep takes lists; blanks are allowed in a path and after the commas of
    AUGMENT.
    """
    for name in ("features", *SWEPT):
        value = getattr(options, name)
        several = isinstance(value, str) and len(value.replace(", ", ",").split()) > 1
        if several and (name == "features" or not Path(value).exists()):
            joined = "+".join(value.replace("+", " ").split())
            one_set = f"one run takes one set: join with + ({joined}), or make sweep"
            expected = one_set if name == "features" else f"expected one alone{ONE_ALONE}"
            raise RequestError(f"{name.upper()}={value}: {expected}")
    if not options.device.split():
        raise RequestError("DEVICE is empty: give cpu, cuda, mps or auto")
    without_val = {
        "SCHEDULE=plateau follows a validation score": options.schedule == "plateau",
        f"PATIENCE={options.patience} follows a validation score": options.patience > 0,
        "SKIP_TEST=1 leaves the test fold alone, so that nothing is scored": options.skip_test,
    }
    for reason, given in without_val.items():
        if given and options.val == "none":
            raise RequestError(f"{reason}: give VAL=group or VAL=next")
    if options.schedule == "onecycle" and options.warmup:
        raise RequestError(
            f"WARMUP={options.warmup}: onecycle has its own warm-up; give WARMUP=0 or SCHEDULE=cosine"
        )


def find_channels(cache: Cache, options: RunOptions) -> tuple[Channel, ...]:
    """The feature set's channels, each in the cache and with the rows that are asked for."""
    channels = parse_set(options.features)
    cache.refuse_missing(channels)
    for channel in channels:
        cache.read(channel, np.arange(0))  # refuses rows that the feature has not
    # the name that the cache gives it: mel@n_mels=128 is mel
    return tuple(replace(parse_channel(cache[channel].stored), rows=channel.rows) for channel in channels)


def stored_shape(cache: Cache, channel: Channel) -> Shape:
    """Rows and frames of a channel, its range of rows applied."""
    feature = cache[channel]
    first, last = channel.rows or (0, feature.rows - 1)
    return last - first + 1, feature.frames


def is_time(frame_unit: str) -> bool:
    """Whether frames of this unit are time: seconds, or numbers of which nothing is known."""
    return frame_unit in ("s", "index")


def input_width(kind: str, shape: Shape) -> int:
    """The number of network inputs that a channel of this shape gives.

    >>> [input_width(kind, (128, 431)) for kind in ("image", "vector", "linear")]
    [1, 256, 256]
    """
    rows, frames = shape
    return {"vector": rows if frames == 1 else 2 * rows, "linear": 2 * rows}.get(kind, 1)


def choose_model(name: str, cache: Cache, channels: Sequence[Channel], weights: str = "") -> Architecture:
    """The model; if MODEL is the default, mlp for vectors alone, and ResNet-18 with WEIGHTS.

    RequestError if the model cannot take the channels.
    """
    vectors = [channel.name for channel in channels if cache[channel].frames == 1]
    if name == RunOptions.model:
        name = FOR_VECTORS if len(vectors) == len(channels) else FROM_WEIGHTS if weights else name
    model = resolve(name)
    names = {channel.name for channel in channels}
    # resized to an image, a vector would be stripes
    wrong = {"wave": names - {"waveform"}, "image": names & {"waveform", *vectors}}.get(model.kind)
    if wrong:
        raise RequestError(
            f"{model.name} takes {TAKEN[model.kind]}, not {', '.join(sorted(wrong))}; linear takes all, "
            "and python -m train list shows what each model takes"
        )
    return model


def find_clips(cache: Cache, channels: Sequence[Channel], options: RunOptions) -> pd.DataFrame:
    """The clips that are done in every channel, with the copies that COPIES wants.

    RequestError if they are of fewer than two folds.
    """
    usable = cache.readable(channels)
    stored = " ".join(channel.stored for channel in channels)
    if not usable.any():
        raise RequestError(f"no clip has {options.features} in {cache.folder}: {cache.remedy(stored)}")
    table = cache.clips[usable]
    tested = cache.tested_folds(originals(table))
    existing = originals(table)["fold"].unique()
    if unknown := sorted(set(options.folds) - set(tested)):
        raise RequestError(f"FOLDS={unknown[0]}: expected some of {' '.join(map(str, tested))}")
    if len(existing) < 2:
        raise RequestError(f"{cache.folder} has fold {existing[0]} alone: a second one is needed to test on")
    if not options.copies:
        return originals(table)
    number = cache.clips.groupby("copy_of").cumcount().where(cache.clips["copy_of"] != "", -1)
    most = number[usable].max() + 1
    if options.copies > most:
        lacking = f"COPIES={options.copies}, and {options.features} has {most} altered copies of a clip"
        copies = max(options.copies, number.max() + 1)
        raise RequestError(f"{lacking}: {cache.remedy(stored, f'COPIES={copies}')}")
    return table[number[usable] < options.copies]


def class_column(task: str) -> str:
    return "label" if task == "classes" else "category"


def differences(options: RunOptions, standard: RunOptions) -> list[str]:
    """For a folder's name: what differs from `standard`, the defaults or a recipe's, in the fields' order."""
    parts = [Path(options.recipe).stem] if options.recipe else []
    for name, value in identity(options).items():
        if name not in PLACED and value != getattr(standard, name):
            parts.append(f"{SHORT[name]}{value}" if name in SHORT else f"{name}={value}")
    return [*parts, *([options.tag] if options.tag else [])]


def remarks(plan: Plan, splits: Mapping[int, Split], unusable: Mapping[str, str]) -> list[str]:
    """Messages before training: options that were changed, clips that are left out.

    unusable  clip id -> reason. RequestError if a fold has training clips of only one class.
    """
    asked = plan.asked
    model = plan.model
    cache = plan.cache
    lines = []
    if asked.model == RunOptions.model != model.name:
        lines.append(f"WEIGHTS are given, or every channel is a vector: MODEL={model.name} is trained")
    if ignored := sorted(unused(asked, model.kind)):
        lines.append(f"{model.name} ignores {', '.join(ignored).upper()}")
    if plan.filled is not None:
        share = 1 - plan.filled[plan.table.index].mean()
        lines.append(f"{share:.0%} of the clips' time is padding, left out (PADDING=keep keeps it)")
    elif plan.options.padding == "drop":
        lines.append("PADDING=drop has no effect: no clip is short, or COPIES or vectors are trained on")
    wanted = cache.clips if asked.copies else originals(cache.clips)  # a copy not asked for is not missed
    if absent := int((~cache.readable(plan.channels)[wanted.index]).sum()):
        lines.append(f"{counted(absent, 'clip')} left out: {plan.options.features} is not there for them")
    if unusable:
        some = "; ".join(": ".join(pair) for pair in list(unusable.items())[:NAMED_CLIPS])
        remedy = "make features computes damaged ones again"
        lines.append(f"{counted(len(unusable), 'clip')} left out ({some}); {remedy}")
    for fold, split in splits.items():
        trained, tested = (set(plan.targets[cache.positions(ids)]) for ids in (split.train, split.test))
        if len(trained) < 2:
            raise RequestError(
                f"fold {fold} has training clips of only one class, and leaves out "
                f"{len(split.left_out)} whose {SHARED}: give more clips or folds"
            )
        for present, verb in ((trained, "trained on"), (tested, "tested")):
            if lacking := [name for number, name in enumerate(plan.names) if number not in present]:
                lines.append(f"fold {fold}: no clip of {', '.join(lacking)} is {verb}")
        if len(split.left_out):
            clips = counted(len(split.left_out), "clip")
            lines.append(f"fold {fold}: {clips} left out of training, whose {SHARED}")
    return lines
