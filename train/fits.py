"""Ridge fitted to feature sets, and its logits for clips that it was not fitted to.

Importance, the learning curve and the choice of features all read these logits. Clips,
folds and solutions are those of `make train`; no fit uses the clips that it answers.

A file of runs/<dataset>/fits holds the logits of one feature set, (n, K) float32 for
each part, so that a command resumes after a kill. Its name has a digest of the values
of the features, the clips with their labels and recordings, the task and the solution.
A damaged file is made again.

Conventions: N clips of the cache, D numbers of a clip, K classes.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack import ridge
from featurestack.base.errors import RequestError
from featurestack.base.files import replace_file
from featurestack.base.json_content import digest
from featurestack.base.options import part_of
from featurestack.base.own_files import OwnFiles
from featurestack.base.terminal import silenced, tell
from featurestack.comparison.metrics import Floats, class_weights
from featurestack.comparison.ranking import ModelRanking
from featurestack.comparison.scores import Estimate, Metric, Predictions, suited
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.feature_names import parse_list
from featurestack.results.run_folder import fits_file
from featurestack.results.splits import Split, fold_split
from featurestack.train.fold_data import chunked, read_usable
from featurestack.train.folds import clip_remarks
from featurestack.train.network_input import Statistics
from featurestack.train.options import FitOptions, RunOptions
from featurestack.train.plan import Plan, Positions, make_plan

RIDGE = "ridge"

# bytes of the numbers of fits that are made side by side, and copies of a fit's numbers
MEMORY, COPIES = 800_000_000, 2

Numbers: TypeAlias = NDArray[np.float32]


def set_names(features: str) -> list[str]:
    """The channels of a set; none of the empty set."""
    return features.split("+") if features else []


@dataclass(frozen=True)
class Part:
    """A fit: its training clips, and the clips that it answers."""

    train: Positions
    tested: Positions


@dataclass(frozen=True)
class Fits:
    """The clips of a run as exact models read them, and the logits of fits to feature
    sets, which are made once and kept.
    """

    plan: Plan  # the plan of a run with all channels
    # channel -> (N, D), a row for each cached clip; vectors are the cache's memory map
    numbers: Mapping[str, NDArray[np.floating]]
    blocks: Mapping[str, Sequence[int]]  # channel -> numbers of each of its layers
    unusable: Mapping[str, str]  # clip id -> why it cannot be read

    @cached_property
    def splits(self) -> dict[int, Split]:
        """Every fold's clips, also of folds that the protocol never tests."""
        table = self.plan.table
        table = table[~table["clip_id"].isin(list(self.unusable))]
        folds = sorted(table["fold"].unique().tolist())
        return {fold: fold_split(table, fold) for fold in folds}

    def trained(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].train)

    def tested(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].test)

    @cached_property
    def parts(self) -> list[Part]:
        """The tested folds of the protocol."""
        folds = self.plan.config.folds
        return [Part(self.trained(fold), self.tested(fold)) for fold in folds]

    def x(self, features: str, clips: Positions) -> Numbers:
        """(n, D) the numbers of a feature set for these clips, without another copy."""
        own = [self.numbers[name] for name in features.split("+")]
        x = np.empty((len(clips), sum(part.shape[1] for part in own)), np.float32)
        first = 0
        for part in own:
            last = first + part.shape[1]
            x[:, first:last] = part[clips]
            first = last
        return x

    def fit(self, features: str, train: Positions) -> ridge.RidgeModel:
        names = features.split("+")
        blocks = [width for name in names for width in self.blocks[name]]
        clips = self.plan.cache.clips.iloc[train]
        groups = clips["group"].to_numpy()
        chosen_on = clips.index.isin(originals(clips).index)
        classes, targets = len(self.plan.names), self.plan.targets[train]
        weights = self.class_weights(train)
        x = self.x(features, train)
        return ridge.fit(
            x, targets, classes, blocks, groups, chosen_on, weights, overwrite=True
        )

    def class_weights(self, train: Positions) -> Floats | None:
        """(K,) the weights with which a model is fitted to these clips: what balanced
        accuracy judges is fitted with equal classes, as by BALANCE=loss.
        """
        if not self.metric.balanced:
            return None
        return class_weights(self.plan.indicator(train).sum(axis=0))

    def fitted(self, features: str, part: Part) -> Numbers:
        """(n, K) the logits of a part's clips; without a feature, or if the training
        clips are of one class, the shares of the classes.
        """
        shares = self.plan.indicator(part.train).mean(axis=0)
        if not features or np.isin(shares, [0, 1]).all():
            logits = np.tile(shares, (len(part.tested), 1))
        else:
            model = self.fit(features, part.train)
            logits = model.logits(self.x(features, part.tested))
        return logits.astype(np.float32)

    def logits(self, features: str, parts: Sequence[Part]) -> list[Numbers]:
        """(n, K) logits of each part."""
        file, keys = self.file(features), [self.key(part) for part in parts]
        kept = {}
        with (
            suppress(OSError, ValueError, EOFError, zipfile.BadZipFile),
            np.load(io.BytesIO(file.read_bytes())) as found,
        ):
            kept = dict(found)
        to_fit = {key: part for key, part in zip(keys, parts) if key not in kept}
        if to_fit:
            # a fit takes one thread: several are made side by side
            most = max(len(part.train) for part in to_fit.values())
            wide = sum(self.numbers[name].shape[1] for name in set_names(features))
            fitting = MEMORY // max(1, COPIES * 4 * most * wide)
            side_by_side = min(cpu_count(), max(1, fitting))
            with (
                silenced(),
                threadpool_limits(1),
                ThreadPoolExecutor(side_by_side) as threads,
            ):
                found = threads.map(partial(self.fitted, features), to_fit.values())
                kept |= dict(zip(to_fit, found))
            content = io.BytesIO()
            arrays: dict[str, Any] = kept
            np.savez(content, **arrays)
            own = OwnFiles(file.parent)
            own.register([file.name], "move it, or give another RUNS=")
            replace_file(file, content.getvalue(), durable=False, parents=True)
        return [kept[key] for key in keys]

    def file(self, features: str) -> Path:
        plan = self.plan
        channels = dict(zip(plan.channel_names, plan.input.channels, strict=True))
        names = set_names(features)
        values = [plan.config.cache[channels[name].stored] for name in names]
        clips, task = plan.config.clips, plan.training.task
        padding, score = plan.training.padding, self.metric.name
        about = [task, padding, score, [*plan.names], clips, values]
        return fits_file(plan.path.parent, clips, task, digest(about), features)

    def key(self, part: Part) -> str:
        ids = self.plan.cache.clips["clip_id"].to_numpy()
        return digest([ids[part.train].tolist(), ids[part.tested].tolist()])

    def predictions(self, logits: Numbers, clips: Positions) -> Predictions:
        """The logits (n, K) of these clips, which the metric of all of them scores."""
        table = self.plan.cache.clips.iloc[clips]
        labels = self.plan.indicator(clips)
        return Predictions(
            metric=self.metric,
            classes=(*self.plan.names,),
            groups=table["group"].to_numpy(),
            folds=table["fold"].to_numpy()[None],
            exact=True,
            labels=labels,
            probabilities=logits[None].astype(float),
        )

    def predicted(self, features: str, parts: Sequence[Part]) -> Predictions:
        """What fits to a feature set predict for the clips that the parts answer."""
        logits = np.concatenate(self.logits(features, parts))
        return self.predictions(logits, tested_by(parts))

    def ranking(
        self, sets: Sequence[str], parts: Sequence[Part]
    ) -> ModelRanking[Predictions]:
        """The verdicts on fits to these sets, of which the first is the best."""
        runs = tuple(self.predicted(features, parts) for features in sets)
        return ModelRanking(runs=runs, crossed=len(parts) > 1)

    def score(self, features: str, parts: Sequence[Part]) -> Estimate:
        """The score on the clips that the parts answer, with its interval if that is
        quick.
        """
        predictions = self.predicted(features, parts)
        if self.metric.multilabel:
            return Estimate(self.metric.score(predictions))
        return predictions.score

    @cached_property
    def metric(self) -> Metric:
        """The task's metric, or balanced accuracy if the classes are uneven."""
        labels = self.plan.indicator(tested_by(self.parts))
        return suited(self.plan.task.metric, labels)

    def tested_clips(
        self, parts: Sequence[Part]
    ) -> tuple[NDArray[np.bool_], pd.DataFrame]:
        """(n, K) labels and (n rows) table of the clips that the parts answer."""
        tested = tested_by(parts)
        return self.plan.indicator(tested), self.plan.cache.clips.iloc[tested]


def tested_by(parts: Sequence[Part]) -> Positions:
    """The clips that the parts answer, part by part."""
    return np.concatenate([part.tested for part in parts])


def fits_of(plan: Plan) -> Fits:
    """The fits of a plan, whose channels are each read once."""
    cache = plan.cache
    as_stored = Statistics.restore({"norm": "none", "centre": 0.0, "scale": 1.0})
    numbers, blocks = {}, {}
    unusable: dict[str, str] = {}
    for name, channel in zip(plan.channel_names, plan.input.channels, strict=True):
        spec = replace(plan.input, channels=(channel,))
        maps = cache[channel.channel]
        x: NDArray[np.floating] = np.zeros((len(cache.clips), *spec.widths), np.float32)
        if channel.frames == 1:
            x = maps.values[:, :, 0]
            if not np.array_equal(maps.row_of, np.arange(len(x))):
                x = x[maps.row_of]
        for positions in chunked(plan.table.index.to_numpy()):
            readable, values = read_usable(cache, channel, positions, unusable)
            if channel.frames > 1:
                prepared = spec.prepare([values], [as_stored], cache.filled[readable])
                x[readable] = prepared.flatten(1).numpy()
        numbers[name] = x
        blocks[name] = replace(plan, input=spec).blocks
    return Fits(plan, numbers, blocks, unusable)


def read_features(options: FitOptions, least: int) -> tuple[tuple[str, ...], Fits]:
    """The features of a call, each a channel or several joined by +, and their fits;
    RequestError if there are fewer than `least`.
    """
    cache = cache_of(options.dataset, options.data, options.name, options.features)
    groups = parse_list(options.features, cache.features)
    words = [str(channel) for group in groups for channel in group]
    given: dict[str, Any] = {"features": "+".join(words), "model": RIDGE, "seed": 0}
    plan = make_plan(part_of(options, RunOptions, **given))
    # the cache's names: mel@n_mels=128 is mel
    channels = iter(plan.channel_names)
    names = tuple("+".join(next(channels) for _ in group) for group in groups)
    if len(names) < least or len(set(names)) < len(names):
        raise RequestError(
            f"FEATURES={options.features}: expected two or more different features"
        )
    fits = fits_of(plan)
    for remark in clip_remarks(plan, fits.unusable):
        tell(remark)
    return names, fits
