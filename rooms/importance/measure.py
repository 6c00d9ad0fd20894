"""`python -m train importance`: measure what each feature is worth, alone and beside
the others.

A model on statistics of each clip, `linear` or `texturenet`, is fitted to every subset
of up to eight features. If there are more, it is fitted to the subsets along antithetic
permutations (Shapley values by sampling; Castro, Gómez and Tejada 2009). The statistics
are computed once. Folds, clips and fits are those of `make train`: no fit uses test
clips.

Fits in the folder are not repeated, so a further feature costs only the new fits.
"""

import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TextIO

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import points
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress
from featurestack.features_cache.cache import cache_of
from featurestack.features_cache.names import parse_list, parse_set
from featurestack.features_cache.splits import Split
from featurestack.results.composition import composed_from
from featurestack.results.config import ExtractionCost, digest, to_json
from featurestack.rooms.importance.folder import (
    SCORES,
    ImportanceConfig,
    ImportanceFolder,
    Subset,
    sampled_shapley,
)
from featurestack.rooms.importance.options import ImportanceOptions
from featurestack.scores.metrics import Floats, largest_first
from featurestack.storage.files import Lock, named_errors, replace_file
from featurestack.train.compute import Compute
from featurestack.train.fold_data import (
    ClipMoments,
    FoldData,
    Resident,
    load_fold,
    measure_clips,
)
from featurestack.train.models.texture import TextureNet
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, Positions, make_plan, split_folds
from featurestack.train.trainer import draw_network, trainer_of

MODELS = ("linear", "texturenet")
MEASURES = {
    "shapley": "share",
    "alone": "alone",
    "lost": "lost without",
    "added": "added to best",
}
LEGEND = (
    "nats per clip of log probability (points of {} in brackets); share is the Shapley"
    " value and does not say which features to keep: the report names a set to keep"
)


def measure_importance(options: ImportanceOptions) -> ImportanceFolder:
    """Make the fits that the folder lacks; returns the folder."""
    importance = make_importance_plan(options)
    path = importance.path
    names = importance.names
    folder = ImportanceFolder(path, names)
    busy = ""
    if not options.wait:
        busy = (
            f"{path} is being filled by another process; wait for it to end, or add"
            " WAIT=1"
        )
    with Lock(path / ".lock", busy=busy):
        if not importance.known() or folder.lacking:
            folds = load_folds(importance)
            open_folder(folds)
            while lacking := ImportanceFolder(path, names).lacking:
                fill(folds, lacking)
        elif folder.features == list(folder.config.features):
            # a report prefers the newest of equally large folders
            (path / "importance.json").touch()
    return ImportanceFolder(path, names)


# ---- what is measured


@dataclass(frozen=True)
class ImportancePlan:
    """The features that one call measures, and the folder of their fits."""

    plan: Plan  # a run with the channels of all features
    names: tuple[str, ...]
    stored: Mapping[str, list[str]]  # feature -> cached features of its channels
    clips: ClipMoments
    splits: Mapping[int, Split]  # fold -> split

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Feature -> digest of its cached values."""
        cached = self.plan.content["cache"]
        return {
            name: digest([cached[channel] for channel in channels])
            for name, channels in self.stored.items()
        }

    @cached_property
    def path(self) -> Path:
        """The folder of every call with these options, clips and folds."""
        content = self.plan.content
        options = dict(content["options"])
        del options["features"]
        sides = [
            [fold, list(split.train), list(split.test)]
            for fold, split in self.splits.items()
        ]
        others = [content[name] for name in ("untimed", "revisions") if name in content]
        hashed = [options, content["clips"], sides, *others]
        folder = f"importance-{self.plan.model.name}-{digest(hashed)}"
        return self.plan.path.with_name(folder)

    @property
    def owners(self) -> NDArray[np.str_]:
        """(C,) the feature that each channel belongs to."""
        channels = [len(self.stored[name]) for name in self.names]
        return np.repeat(self.names, channels)

    def known(self) -> bool:
        """Whether the folder has these features, values and settings."""
        if not (self.path / "importance.json").is_file():
            return False
        config = ImportanceFolder(self.path).config
        same_values = self.fingerprints.items() <= config.fingerprints.items()
        has_all = set(self.names) <= set(config.features)
        return config.seed == self.plan.training.seed and same_values and has_all


def make_importance_plan(options: ImportanceOptions, least: int = 2) -> ImportancePlan:
    """The plan of a call; RequestError if an option does not fit."""
    groups = parse_list(options.features, cache_of(options).features)
    words = [str(channel) for group in groups for channel in group]
    plan = make_plan(part_of(options, RunOptions, features="+".join(words)))
    if plan.task.framed:
        raise RequestError(
            f"{options.dataset} has events, and clips are compared here: compare sets"
            " of features by make sweep"
        )
    # the cache's names: mel@n_mels=128 is mel
    channels = iter(plan.channel_names)
    names = tuple("+".join(next(channels) for _ in group) for group in groups)
    if len(names) < least or len(set(names)) < len(names):
        raise RequestError(
            f"FEATURES={options.features}: expected two or more different features"
        )
    members = [entry.name for entry, _ in plan.model.members]
    if len(members) > 1 or members[0] not in MODELS:
        raise RequestError(
            f"MODEL={options.model}: importance is measured by {', '.join(MODELS)}"
        )
    clips = measure_clips(plan)
    splits = split_folds(plan, plan.folds, clips.unusable)
    stored = {name: [channel.stored for channel in parse_set(name)] for name in names}
    return ImportancePlan(plan, names, stored, clips, splits)


# ---- fits


@dataclass(frozen=True)
class LoadedFolds:
    """The statistics of every fold's clips; a fit takes those of its features."""

    importance: ImportancePlan
    owners: NDArray[np.str_]  # (D,) the feature that each statistic belongs to
    data: Mapping[int, FoldData]  # fold -> data; clips' values are (clips, D, 1, 1)

    @property
    def tested(self) -> Positions:
        """(N,) the test clips of all folds."""
        return np.concatenate([data.test for data in self.data.values()])

    def score(self, features: Subset) -> Floats:
        """(2, N) scores of the test clips by a fit to these features: SCORES."""
        plan = self.importance.plan
        if plan.model.kind.in_steps:
            answers = [self.answers(fold, features) for fold in self.data]
        else:
            # a solution takes one thread: the folds' are found side by side
            with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
                of_fold = partial(self.answers, features=features)
                answers = list(threads.map(of_fold, self.data))
        clips = plan.cache.clips.iloc[self.tested]
        labels = plan.indicator(self.tested)
        return plan.task.metric.clip_scores(labels, np.concatenate(answers), clips)

    def answers(
        self, fold: int, features: Subset, train: Positions | None = None
    ) -> NDArray[np.float32]:
        """(n, K) probabilities of the fold's test clips, as `make train` predicts them.
        `train` are fewer training clips than the fold has.

        Without a feature, or without two classes to choose from, the probabilities are
        the classes' shares of the training clips.
        """
        plan = self.importance.plan
        data = self.data[fold]
        if train is not None:
            data = replace(data, train=train)
        shares = plan.indicator(data.train).mean(axis=0)
        # fewer clips may have one class
        if not features or np.isin(shares, [0, 1]).all():
            return np.tile(shares.astype(np.float32), (len(data.test), 1))
        of_channels = np.isin(self.importance.owners, list(features))
        channels = tuple(itertools.compress(plan.input.channels, of_channels))
        narrow = replace(plan, input=replace(plan.input, channels=channels))
        network = draw_network(narrow, fold)
        assert isinstance(data.source, Resident), "statistics fit into memory"
        of_statistics = np.isin(self.owners, list(features))
        source = data.source.columns(of_statistics)
        data = replace(data, plan=narrow, source=source)
        trainer = trainer_of(narrow)(data, network, Compute())
        silent = progress(label="", unit="", silent=True)
        while not trainer.finished:
            trainer.train_epoch(silent)
            trainer.epoch += 1
        return trainer.predict(data.test, exact=True)[0]


def load_folds(importance: ImportancePlan) -> LoadedFolds:
    """Load the statistics of every fold's clips into memory."""
    Compute().prepare()
    plan = importance.plan
    texture = None
    if plan.model.kind.in_steps:
        network = draw_network(plan, 0)
        assert isinstance(network, TextureNet), "MODELS has no other network"
        texture = network.shift_invariant
        owners = importance.owners[texture.owners]
    else:
        owners = np.repeat(importance.owners, plan.input.widths)
    folds = {}
    for fold, split in importance.splits.items():
        data = load_fold(plan, fold, split, importance.clips, "cpu")
        if texture:
            # memory holds the feature maps of one fold at a time
            data = data.computed_once(texture)
        folds[fold] = data
    return LoadedFolds(importance, owners, folds)


# ---- the folder


def open_folder(folds: LoadedFolds) -> None:
    """Write clips and configuration; drop scores of features whose values changed."""
    importance = folds.importance
    path = importance.path
    plan = importance.plan
    clips = plan.scored(folds.tested, fold=plan.cache.clips["fold"])
    replace_file(path / "clips.csv", clips.to_csv(index=False, lineterminator="\n"))
    folder = ImportanceFolder(path)
    fingerprints: dict[str, str] = {}
    if (path / "importance.json").is_file():
        fingerprints |= folder.config.fingerprints
    stale = {
        name
        for name, fingerprint in importance.fingerprints.items()
        if fingerprints.get(name, fingerprint) != fingerprint
    }
    text = io.StringIO()
    header = ["features", "score", *clips["clip_id"]]
    csv.writer(text, lineterminator="\n").writerow(header)
    for fit, scores in folder.scores.items():
        if not fit & stale:
            write_scores(text, fit, scores)
    replace_file(path / "scores.csv", text.getvalue())
    if importance.known():
        return
    extraction = {
        name: ExtractionCost(**plan.cache.extraction_cost(stored))
        for name, stored in importance.stored.items()
    }
    composed = composed_from(importance.names, path.parent, plan.training.task)
    config = ImportanceConfig(
        dataset=plan.dataset,
        synthetic=plan.cache.synthetic,
        model=plan.model.name,
        task=plan.training.task,
        classes=plan.classes,
        seed=plan.training.seed,
        features=importance.names,
        composed_from=composed,
        fingerprints={**fingerprints, **importance.fingerprints},
        clips=len(plan.cache.clips),
        extraction=extraction,
    )
    text_of_config = json.dumps(to_json(config), indent=2) + "\n"
    replace_file(path / "importance.json", text_of_config)


def fill(folds: LoadedFolds, lacking: Sequence[Subset]) -> None:
    """Make these fits, and append the scores of each as soon as it is made."""
    scores_file = folds.importance.path / "scores.csv"
    with (
        named_errors(scores_file),
        scores_file.open("a", encoding="utf-8", newline="") as file,
    ):
        for fit in progress(lacking, label="importance", unit="fits"):
            write_scores(file, fit, folds.score(fit))
            file.flush()


def write_scores(file: TextIO, features: Subset, scores: Floats) -> None:
    """Write a fit's two lines of scores.csv; 9 digits hold a float32."""
    writer = csv.writer(file, lineterminator="\n")
    fit = " ".join(sorted(features))
    for score, values in zip(SCORES, scores):
        numbers = [f"{number:.9g}" for number in values]
        writer.writerow([fit, score, *numbers])


def importance_summary(folder: ImportanceFolder) -> str:
    """A table of MEASURES for each feature, the largest share first."""
    gains = folder.contributions("probability")
    hits = folder.contributions("correct")
    rows = []
    for place in largest_first(gains["shapley"].mean(axis=0)):
        row = [folder.features[place]]
        for measure in MEASURES:
            mean = gains[measure][:, place].mean()
            share = hits[measure][:, place].mean()
            is_best = np.isnan(mean)
            row.append("the best" if is_best else f"{mean:.3f} ({points(share)})")
        rows.append(row)
    table = text_table(rows, ("", *MEASURES.values()))
    legend = LEGEND.format(folder.config.score)
    lines = [f"{folder.path}: {len(folder.clips)} test clips", table, legend]
    if orders := folder.permutations:
        _, errors = sampled_shapley(folder.values(), folder.features, orders)
        lines.append(
            f"standard error of a share: {errors.max():.3f} at most, from"
            f" {len(orders)} permutations"
        )
    return "\n".join(lines)
