"""Ridge fitted to feature sets, and its answers to clips that it was not fitted to.

Importance, the learning curve and the choice of features all read these answers. Clips
and folds are those of `make train`, and so are the solutions; no fit uses the clips
that it answers. The numbers of the features are read once.

runs/<dataset>/fits/
    <digest>.npz  the answers of one feature set, (n, K) float32 for each part. They are
                  kept set by set, so that a command resumes after a kill.

A digest names the values of the features, the clips with their labels and recordings,
the task and the solution. A damaged file is made again.

Conventions: N clips of the cache, D numbers of a clip, K classes.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.commandline.terminal import silenced
from featurestack.feature_importance.options import FitOptions
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.table import Split, fold_split
from featurestack.linear import ridge
from featurestack.results.config import digest
from featurestack.scores.metrics import Floats, clip_metric
from featurestack.scores.significance import accuracy_interval
from featurestack.scores.tasks import require_clips
from featurestack.storage.files import replace_file
from featurestack.storage.own_files import OwnFiles
from featurestack.train.fold_data import chunked, read_usable
from featurestack.train.network_input import Statistics
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, Positions, make_plan

RIDGE = "ridge"
FOLDER = "fits"
FITS = 1  # raised if the same fits would have other answers

Numbers: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A fit: its training clips, and the clips that it answers."""

    train: Positions
    tested: Positions


@dataclass(frozen=True)
class Clips:
    """The clips of a run as exact models read them."""

    plan: Plan  # the plan of a run with all channels
    numbers: Mapping[str, Numbers]  # channel -> (N, D), a row for each cached clip
    blocks: Mapping[str, Sequence[int]]  # channel -> numbers of each of its layers
    unusable: Mapping[str, str]  # clip id -> why it cannot be read

    @cached_property
    def table(self) -> pd.DataFrame:
        table = self.plan.table
        return table[~table["clip_id"].isin(list(self.unusable))]

    @cached_property
    def splits(self) -> dict[int, Split]:
        """Every fold's clips, also of folds that the protocol never tests."""
        folds = sorted(self.table["fold"].unique().tolist())
        return {fold: fold_split(self.table, fold) for fold in folds}

    def trained(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].train)

    def tested(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].test)

    @cached_property
    def parts(self) -> list[Part]:
        """The tested folds of the protocol."""
        folds = self.plan.folds
        return [Part(self.trained(fold), self.tested(fold)) for fold in folds]

    def width(self, features: str) -> int:
        """The numbers of a clip of a feature set."""
        return sum(self.numbers[name].shape[1] for name in features.split("+"))

    def x(self, features: str) -> Numbers:
        """(N, D) the numbers of a feature set."""
        first, *others = (self.numbers[name] for name in features.split("+"))
        return np.concatenate([first, *others], axis=1) if others else first

    def values(self, features: str) -> list[str]:
        """The digests of a set's cached values."""
        cached = self.plan.content["cache"]
        channels = dict(zip(self.plan.channel_names, self.plan.channels, strict=True))
        names = features.split("+") if features else []
        return [cached[channels[name].stored] for name in names]

    def fit(self, features: str, train: Positions) -> ridge.RidgeModel:
        """The model of a feature set."""
        names = features.split("+")
        blocks = [width for name in names for width in self.blocks[name]]
        groups = self.plan.cache.clips["group"].to_numpy()[train]
        classes, targets = len(self.plan.classes), self.plan.targets[train]
        return ridge.fit(self.x(features)[train], targets, classes, blocks, groups)

    def answers(self, features: str, part: Part) -> Numbers:
        """(n, K) the logits of a part's clips; without a feature, or if the training
        clips are of one class, the shares of the classes.
        """
        shares = self.plan.indicator(part.train).mean(axis=0)
        if not features or np.isin(shares, [0, 1]).all():
            answers = np.tile(shares, (len(part.tested), 1))
        else:
            x = self.x(features)[part.tested]
            answers = self.fit(features, part.train).logits(x)
        return answers.astype(np.float32)


@dataclass(frozen=True)
class Fits:
    """The answers of feature sets' fits, made once and kept."""

    clips: Clips
    # fits that this process has made, as feature set and number of parts
    made: list[tuple[str, int]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.clips.plan.path.with_name(FOLDER)

    def answers(self, features: str, parts: Sequence[Part]) -> list[Numbers]:
        """(n, K) each part's answers."""
        file, keys = self.file(features), [self.key(part) for part in parts]
        kept = read_kept(file)
        lacking = [place for place, key in enumerate(keys) if key not in kept]
        if lacking:

            def answer(place: int) -> Numbers:
                return self.clips.answers(features, parts[place])

            # a fit takes one thread: several are made side by side
            with (
                silenced(),
                threadpool_limits(1),
                ThreadPoolExecutor(cpu_count()) as threads,
            ):
                found = [*threads.map(answer, lacking)]
            kept |= {keys[place]: each for place, each in zip(lacking, found)}
            content = io.BytesIO()
            arrays: dict[str, Any] = kept
            np.savez(content, **arrays)
            OwnFiles(self.folder).claim([file.name], "move it, or give another RUNS")
            replace_file(file, content.getvalue(), durable=False, parents=True)
            self.made.append((features, len(lacking)))
        return [kept[key] for key in keys]

    def file(self, features: str) -> Path:
        plan = self.clips.plan
        about = [FITS, plan.training.task, plan.training.padding, [*plan.names]]
        about += [plan.content["clips"], self.clips.values(features)]
        return self.folder / f"{digest(about)}.npz"

    def key(self, part: Part) -> str:
        ids = self.clips.plan.cache.clips["clip_id"].to_numpy()
        return digest([ids[part.train].tolist(), ids[part.tested].tolist()])

    def clip_scores(self, features: str) -> Floats:
        """(n,) each test clip's part of the score by fits to a feature set."""
        plan, parts = self.clips.plan, self.clips.parts
        answers = np.concatenate(self.answers(features, parts))
        tested = np.concatenate([part.tested for part in parts])
        labels, table = plan.indicator(tested), plan.cache.clips.iloc[tested]
        return clip_metric(plan.task.metric).clip_scores(labels, answers, table)[1]


def score_of(
    clips: Clips, tested: Positions, answers: NDArray[np.floating]
) -> dict[str, float]:
    """The task's score of the answers to these clips, with the ends of its interval,
    `low` and `high`, if it is quick.
    """
    plan = clips.plan
    metric = clip_metric(plan.task.metric)
    labels, table = plan.indicator(tested), plan.cache.clips.iloc[tested]
    score = metric.score(labels, answers, table["fold"].to_numpy())
    scores = {metric.name: score}
    if metric.pooled:
        return scores
    right = labels[np.arange(len(labels)), answers.argmax(axis=1)]
    correct = right[:, None].astype(float)
    groups = table["group"].to_numpy()
    ((low, high),) = accuracy_interval(correct, groups, np.ones(len(table)))
    return scores | {"low": low, "high": high}


def read_kept(file: Path) -> dict[str, Numbers]:
    """The answers in a file; none if it is not there, or damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes())) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def read_clips(plan: Plan) -> Clips:
    """Read each channel of the plan once."""
    cache = plan.cache
    as_stored = Statistics.restore({"norm": "none", "centre": 0.0, "scale": 1.0})
    numbers, blocks = {}, {}
    unusable: dict[str, str] = {}
    for name, channel in zip(plan.channel_names, plan.channels, strict=True):
        spec = replace(plan.input, channels=(channel,))
        x = np.zeros((len(cache.clips), *spec.widths), np.float32)
        for positions in chunked(plan.table.index.to_numpy()):
            readable, values = read_usable(cache, channel, positions, unusable)
            prepared = spec.prepare([values], [as_stored], cache.filled[readable])
            x[readable] = prepared.flatten(1).numpy()
        numbers[name] = x
        blocks[name] = replace(plan, input=spec).blocks
    return Clips(plan, numbers, blocks, unusable)


def read_features(options: FitOptions, least: int) -> tuple[tuple[str, ...], Clips]:
    """The features of a call, each a channel or several joined by +, and the clips;
    RequestError if there are fewer than `least`.
    """
    cache = cache_of(options.dataset, options.data, options.name, options.features)
    groups = parse_list(options.features, cache.features)
    words = [str(channel) for group in groups for channel in group]
    given = {"features": "+".join(words), "model": RIDGE}
    plan = make_plan(part_of(options, RunOptions, **given))
    require_clips(plan.task, options.dataset)
    # the cache's names: mel@n_mels=128 is mel
    channels = iter(plan.channel_names)
    names = tuple("+".join(next(channels) for _ in group) for group in groups)
    if len(names) < least or len(set(names)) < len(names):
        raise RequestError(
            f"FEATURES={options.features}: expected two or more different features"
        )
    return names, read_clips(plan)
