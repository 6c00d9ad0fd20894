"""Fits of exact models to feature sets of the same clips, whose numbers are read once.

Clips and folds are those of `make train`, and so are the solutions; no fit uses test
clips. `answer` chooses by these fits too.

Conventions: N clips of the cache, D numbers of a clip.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.feature_importance.options import FitOptions
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.splits import Split, fold_split
from featurestack.linear import logistic, ridge
from featurestack.scores.metrics import Floats
from featurestack.scores.tasks import require_clips
from featurestack.scores.tasks.base import clip_metric
from featurestack.train.fold_data import chunked, read_usable
from featurestack.train.network_input import Statistics
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, Positions, make_plan

LINEAR, RIDGE = "linear", "ridge"

Numbers: TypeAlias = NDArray[np.float32]


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

    def width(self, features: str) -> int:
        """The numbers of a clip of a feature set."""
        return sum(self.numbers[name].shape[1] for name in features.split("+"))

    def x(self, features: str) -> Numbers:
        """(N, D) the numbers of a feature set."""
        if not features:
            return np.zeros((len(self.plan.cache.clips), 0), np.float32)
        return np.concatenate([self.numbers[name] for name in features.split("+")], 1)

    def fitted(
        self, features: str, model: str, train: Positions
    ) -> Callable[[Numbers], Floats]:
        """The logits of `linear` or `ridge` for numbers of clips; the shares of the
        classes without a feature, and if the training clips are of one class.
        """
        classes = len(self.plan.classes)
        shares = self.plan.indicator(train).mean(axis=0)
        if not features or np.isin(shares, [0, 1]).all():
            return lambda tested: np.tile(shares, (len(tested), 1))
        names = features.split("+")
        x, targets = self.x(features)[train], self.plan.targets[train]
        if model == RIDGE:
            blocks = [width for name in names for width in self.blocks[name]]
            groups = self.plan.cache.clips["group"].to_numpy()[train]
            return ridge.fit(x, targets, classes, blocks, groups).logits
        widths = [self.numbers[name].shape[1] for name in names]
        return logistic.fit(x, targets, classes, logistic.strengths(widths)).logits


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
    cache = cache_of(options.dataset, options.data, options.name)
    groups = parse_list(options.features, cache.features)
    words = [str(channel) for group in groups for channel in group]
    plan = make_plan(part_of(options, RunOptions, features="+".join(words)))
    require_clips(plan.task, options.dataset)
    # the cache's names: mel@n_mels=128 is mel
    channels = iter(plan.channel_names)
    names = tuple("+".join(next(channels) for _ in group) for group in groups)
    if len(names) < least or len(set(names)) < len(names):
        raise RequestError(
            f"FEATURES={options.features}: expected two or more different features"
        )
    return names, read_clips(plan)


def answers_of_folds(
    clips: Clips, features: str, model: str, trained: Mapping[int, Positions]
) -> Floats:
    """(n, K) the answers to the folds' test clips; `trained` are the training clips of
    each fold.
    """

    def answers(fold: int) -> Floats:
        logits = clips.fitted(features, model, trained[fold])
        return logits(clips.x(features)[clips.tested(fold)])

    # a solution takes one thread: the folds' are found side by side
    with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
        return np.concatenate([*threads.map(answers, trained)])


def clip_scores(clips: Clips, features: str, model: str) -> Floats:
    """(n,) each test clip's part of the score by fits to a feature set."""
    plan = clips.plan
    trained = {fold: clips.trained(fold) for fold in plan.folds}
    answers = answers_of_folds(clips, features, model, trained)
    tested = np.concatenate([clips.tested(fold) for fold in plan.folds])
    labels, table = plan.indicator(tested), plan.cache.clips.iloc[tested]
    return clip_metric(plan.task).clip_scores(labels, answers, table)[1]
