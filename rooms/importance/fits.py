"""Fits of an exact model to sets of features, with the folds, clips and numbers of
`make train`: no fit uses test clips.

The numbers of each clip are read once for all sets.
"""

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.commandline.terminal import progress
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import parse_list
from featurestack.features_cache.splits import Split
from featurestack.rooms.importance.options import FitOptions
from featurestack.scores.metrics import Floats
from featurestack.scores.tasks.base import clip_metric
from featurestack.scores.tasks.registry import require_clips
from featurestack.train.compute import Compute
from featurestack.train.fold_data import (
    ClipMoments,
    FoldData,
    Resident,
    load_fold,
    measure_clips,
)
from featurestack.train.folds import draw_network, split_folds
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, Positions, make_plan
from featurestack.train.trainer import trainer_of

MODELS = ("linear", "ridge")  # exact: equal clips give equal fits, in seconds
FeatureSet = frozenset[str]


@dataclass(frozen=True)
class FitPlan:
    """The features that one call measures, and its folds."""

    plan: Plan  # a run with the channels of all features
    names: tuple[str, ...]  # a feature, or several joined by +
    clips: ClipMoments
    splits: Mapping[int, Split]  # fold -> split

    @property
    def owners(self) -> NDArray[np.str_]:
        """(C,) the feature that each channel belongs to."""
        return np.repeat(self.names, [len(name.split("+")) for name in self.names])


def make_fit_plan(options: FitOptions, least: int = 2) -> FitPlan:
    """The plan of a call with `least` features; RequestError if an option does not
    fit.
    """
    groups = parse_list(options.features, cache_of(options).features)
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
    if plan.model.name not in MODELS:
        raise RequestError(
            f"MODEL={options.model}: the fits are exact, by {', '.join(MODELS)}"
        )
    clips = measure_clips(plan)
    splits = split_folds(plan, plan.folds, clips.unusable)
    return FitPlan(plan, names, clips, splits)


@dataclass(frozen=True)
class LoadedFolds:
    """The numbers of every fold's clips; a fit takes those of its features."""

    fits: FitPlan
    owners: NDArray[np.str_]  # (D,) the feature that each number belongs to
    data: Mapping[int, FoldData]  # fold -> data; clips' values are (clips, D, 1, 1)

    @property
    def tested(self) -> Positions:
        """(N,) the test clips of all folds."""
        return np.concatenate([data.test for data in self.data.values()])

    def score(self, features: FeatureSet) -> Floats:
        """(N,) each test clip's part of the score by a fit to these features."""
        plan = self.fits.plan
        # a solution takes one thread: the folds' are found side by side
        with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
            answers = [*threads.map(partial(self.answers, features), self.data)]
        clips = plan.cache.clips.iloc[self.tested]
        labels = plan.indicator(self.tested)
        return clip_metric(plan.task).clip_scores(
            labels, np.concatenate(answers), clips
        )[1]

    def answers(
        self, features: FeatureSet, fold: int, train: Positions | None = None
    ) -> NDArray[np.float32]:
        """(n, K) probabilities of the fold's test clips, as `make train` predicts them.
        `train` are fewer training clips than the fold has.

        Without a feature, or without two classes to choose from, the probabilities are
        the classes' shares of the training clips.
        """
        plan = self.fits.plan
        data = self.data[fold]
        if train is not None:
            data = replace(data, train=train)
        shares = plan.indicator(data.train).mean(axis=0)
        # fewer clips may have one class
        if not features or np.isin(shares, [0, 1]).all():
            return np.tile(shares.astype(np.float32), (len(data.test), 1))
        of_channels = np.isin(self.fits.owners, list(features))
        channels = tuple(itertools.compress(plan.input.channels, of_channels))
        narrow = replace(plan, input=replace(plan.input, channels=channels))
        assert isinstance(data.source, Resident), "the numbers fit into memory"
        source = data.source.columns(np.isin(self.owners, list(features)))
        data = replace(data, plan=narrow, source=source)
        trainer = trainer_of(narrow)(data, draw_network(narrow, fold), Compute())
        trainer.train_epoch(progress(label="", unit="", silent=True))
        return trainer.predict(data.test, exact=True)


def load_folds(fits: FitPlan) -> LoadedFolds:
    """Load the numbers of every fold's clips into memory."""
    Compute().prepare()
    plan = fits.plan
    owners = np.repeat(fits.owners, plan.input.widths)
    data = {
        fold: load_fold(plan, fold, split, fits.clips, "cpu")
        for fold, split in fits.splits.items()
    }
    return LoadedFolds(fits, owners, data)
