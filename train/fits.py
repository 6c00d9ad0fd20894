"""Ridge fitted to feature sets, and its logits for clips that it was not fitted to.

Importance, the learning curve and the choice of features all read these logits. Clips,
folds and solutions are those of `make train`; no fit uses the clips that it answers.

A file of runs/<dataset>/fits holds the logits of one feature set, (n, K) float32 for
each part, so that a command resumes after a kill. Its name has a digest of the values
of the features, the clips with their labels and recordings, the task and the solution.
A damaged file is made again.

A command may repeat: folds that are drawn are then drawn DRAWINGS times, and each clip
is answered by a fit of each drawing.

Conventions: N clips of the cache, D numbers of a clip, K classes, R drawings.
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
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack import ridge
from featurestack.base.errors import RequestError
from featurestack.base.files import replace_file
from featurestack.base.json_content import digest
from featurestack.base.options import part_of
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted
from featurestack.base.terminal import silenced, tell
from featurestack.comparison.metrics import Floats, Ints, class_weights
from featurestack.comparison.ranking import ModelRanking
from featurestack.comparison.scores import Estimate, Metric, Predictions, suited
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.feature_names import parse_list
from featurestack.features_cache.folds import redrawn
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
DRAWINGS = 5  # of folds that are drawn, in a command that repeats

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
    """A run's clips as exact models read them; logits of fits, made once and kept."""

    plan: Plan  # the plan of a run with all channels
    # channel -> (N, D), a row for each cached clip; vectors are the cache's memory map
    numbers: Mapping[str, NDArray[np.floating]]
    blocks: Mapping[str, Sequence[int]]  # channel -> numbers of each of its layers
    unusable: Mapping[str, str]  # clip id -> why it cannot be read
    repeats: bool = False  # whether folds that were drawn are drawn several times
    drawing: int = 0  # of the folds; 0 is the plan's

    @cached_property
    def fold_of(self) -> Ints:
        """(N,) the fold of each cached clip."""
        return redrawn(self.plan.cache.clips, self.drawing)["fold"].to_numpy(np.int64)

    @property
    def drawings(self) -> tuple["Fits", ...]:
        """(R,) these fits, and those in other drawings of the folds."""
        return self, *self.redrawn

    @cached_property
    def redrawn(self) -> tuple["Fits", ...]:
        """The fits in other drawings of folds that were drawn and are all tested."""
        whole = {*self.plan.config.folds} == {*self.splits}
        several = self.repeats and self.plan.cache.folds_drawn and whole
        others = range(1, DRAWINGS if several else 1)
        return tuple(replace(self, drawing=other) for other in others)

    @property
    def protocol(self) -> str:
        """`5 folds`, or `5 drawings of 5 folds`."""
        several, folds = len(self.drawings), counted(len(self.parts), "fold")
        return f"{several} drawings of {folds}" if several > 1 else folds

    @cached_property
    def splits(self) -> dict[int, Split]:
        """Every fold's clips, also of folds that the protocol never tests."""
        table = self.plan.table
        table = table.assign(fold=self.fold_of[table.index])
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
        parts = [self.numbers[name] for name in features.split("+")]
        x = np.empty((len(clips), sum(part.shape[1] for part in parts)), np.float32)
        first = 0
        for part in parts:
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
            own_files = OwnFiles(file.parent)
            own_files.register([file.name], "move it, or give another RUNS=")
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
        groups = self.plan.cache.clips["group"].to_numpy()
        labels = self.plan.indicator(clips)
        return Predictions(
            metric=self.metric,
            classes=(*self.plan.names,),
            groups=groups[clips],
            folds=self.fold_of[clips][None],
            exact=True,
            labels=labels,
            probabilities=logits[None].astype(float),
        )

    def predicted(self, features: str, parts: Sequence[Part]) -> Predictions:
        """What fits to a feature set predict for the clips that the parts answer."""
        logits = np.concatenate(self.logits(features, parts))
        return self.predictions(logits, tested_by(parts))

    def repeated(self, features: str) -> Predictions:
        """What fits to a set predict for the tested clips, sorted, by each drawing."""
        folds, logits = [], []
        for drawing in self.drawings:
            tested = tested_by(drawing.parts)
            order = np.argsort(tested)
            folds.append(drawing.fold_of[tested][order])
            logits.append(
                np.concatenate(drawing.logits(features, drawing.parts))[order]
            )
        return replace(
            self.predictions(logits[0], self.tested_clips),
            folds=np.stack(folds),
            probabilities=np.stack(logits).astype(float),
        )

    @cached_property
    def tested_clips(self) -> Positions:
        """The clips that are tested, in the order of the cache."""
        return np.sort(tested_by(self.parts))

    @cached_property
    def metric(self) -> Metric:
        """The task's metric, or balanced accuracy if the classes are uneven."""
        return suited(self.plan.task.metric, self.plan.indicator(self.tested_clips))


def tested_by(parts: Sequence[Part]) -> Positions:
    """The clips that the parts answer, part by part."""
    return np.concatenate([part.tested for part in parts])


def quick_score(predictions: Predictions) -> Estimate:
    """The score, with its interval if that is quick."""
    if predictions.metric.multilabel:
        return Estimate(predictions.metric.score(predictions))
    return predictions.score


def ranking_of(predictions: Sequence[Predictions]) -> ModelRanking[Predictions]:
    """The verdicts on fits to several feature sets, of which the first is the best."""
    crossed = len(np.unique(predictions[0].folds)) > 1
    return ModelRanking(runs=(*predictions,), crossed=crossed)


def fits_of(plan: Plan) -> Fits:
    """The fits of a plan, whose channels are each read once."""
    cache = plan.cache
    as_stored = Statistics.restore({"norm": "none", "centre": 0.0, "scale": 1.0})
    numbers, blocks = {}, {}
    unusable: dict[str, str] = {}
    for name, channel in zip(plan.channel_names, plan.input.channels, strict=True):
        spec = replace(plan.input, channels=(channel,))
        x: NDArray[np.floating] = np.zeros((len(cache.clips), *spec.widths), np.float32)
        if channel.frames == 1:
            maps = cache[channel.channel]
            x = maps.values[:, :, 0]
            if not np.array_equal(maps.row_of, np.arange(len(x))):
                x = x[maps.row_of]
        for positions in chunked(plan.table.index.to_numpy()):
            readable, values = read_usable(cache, channel, positions, unusable)
            if channel.frames > 1:
                prepared = spec.prepare([values], [as_stored], cache.filled[readable])
                x[readable] = prepared.flatten(1).numpy()
        if channel.frames > 1:
            cache.close(channel.channel)
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
