"""`python -m train importance`: measure what each feature is worth, alone and beside
the others.

A model on statistics of each clip, `linear` or `texture`, is fitted to every subset of
up to eight features. If there are more, it is fitted to the subsets along antithetic
permutations (Shapley values by sampling; Castro, Gómez and Tejada 2009). All features
together are also fitted to parts of the training recordings. The statistics are
computed once. Folds, clips and fits are those of `make train`: no fit uses test clips.

Fits in the folder are not repeated, so a further feature costs only the new fits.
"""

import copy
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.quantities import points
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.cache import open_cache
from featurestack.features_cache.names import parse_list, parse_set
from featurestack.features_cache.splits import draw_groups
from featurestack.results.bootstrap import fold_weights, recording_sums
from featurestack.results.config import ExtractionCost, SoundClass, digest, to_json
from featurestack.results.importance_folder import (
    PARTS,
    SCORES,
    Fit,
    ImportanceConfig,
    ImportanceFolder,
)
from featurestack.results.scores import Floats
from featurestack.results.shapley import linear_cka, sampled_shapley
from featurestack.results.tags import fold_ranks, jackknife_values, log_probabilities
from featurestack.storage.files import Lock, replace_file
from featurestack.train.compute import Compute
from featurestack.train.fold_data import FoldData, Resident, load_fold, measure_clips
from featurestack.train.models.texture import BANDS, TextureNet
from featurestack.train.options import ImportanceOptions, RunOptions
from featurestack.train.plan import Plan, class_column, make_plan, remarks
from featurestack.train.trainer import LinearTrainer, Trainer, draw_network

MODELS = ("linear", "texture")
OF_A_RUN = ("dataset", "name", "data", "runs", "task", "model", "seed", "epochs")
MEASURES = {
    "shapley": "share",
    "alone": "alone",
    "lost": "lost without",
    "added": "added to best",
}
LEGEND = (
    "nats a clip of log probability (points of {} in brackets); share is the Shapley"
    " value"
)


def measure_importance(options: ImportanceOptions) -> ImportanceFolder:
    """Make the fits that the folder lacks; returns the folder.

    measure_importance(ImportanceOptions(dataset="esc10", features="mel mfcc chroma"))
    """
    shared = {name: getattr(options, name) for name in OF_A_RUN}
    groups = parse_list(options.features, open_cache(options).features)
    plan = make_plan(
        RunOptions(
            **shared,
            features="+".join(str(channel) for group in groups for channel in group),
        )
    )
    # with the cache's names: mel@n_mels=128 is mel
    channels = iter(plan.channel_names)
    names = ["+".join(next(channels) for _ in group) for group in groups]
    if len(names) < 2 or len(set(names)) < len(names):
        raise RequestError(
            f"FEATURES={options.features}: expected two or more different features"
        )
    if [entry.name for entry, _ in plan.model.members] not in [
        [name] for name in MODELS
    ]:
        raise RequestError(
            f"MODEL={options.model}: importance is measured by {' or '.join(MODELS)}"
        )
    # separated by blanks, or by commas
    wanted = [
        name.strip()
        for name in options.classes.split("," if "," in options.classes else None)
    ]
    for name in wanted:
        if name not in plan.names:
            raise RequestError(nearest("class", name, plan.names))
    if len(wanted) == 1:
        raise RequestError(f"CLASSES={options.classes}: expected two or more classes")
    if wanted:
        if plan.tags:
            raise RequestError(
                "CLASSES chooses clips by their one class; these have several labels or"
                " none"
            )
        plan = replace(
            plan, table=plan.table[plan.table[class_column(options.task)].isin(wanted)]
        )
    fits = Fits(plan, names, options)
    folder = ImportanceFolder(fits.path, tuple(names))
    with Lock(
        fits.path / ".lock", busy=f"{fits.path} is being filled by another process"
    ):
        if not fits.known() or folder.lacking:
            fits.load()
            fits.open_folder()
            while lacking := ImportanceFolder(folder.path, folder.chosen).lacking:
                fits.fill(lacking)
        elif folder.features == list(folder.config.features):
            # a report prefers the newest of equally large folders
            (folder.path / "importance.json").touch()
    return ImportanceFolder(folder.path, folder.chosen)


class Fits:
    """Fits to subsets of named features, over the folds of a plan with all of them."""

    def __init__(
        self, plan: Plan, names: list[str], options: ImportanceOptions
    ) -> None:
        self.plan = plan
        self.names = names
        self.settings = {"permutations": options.permutations, "seed": options.seed}
        self.stored = {
            name: [channel.stored for channel in parse_set(name)] for name in names
        }
        # feature of each channel
        self.feature = np.repeat(names, list(map(len, self.stored.values())))
        self.clips = measure_clips(plan, plan.table.index.to_numpy())
        self.splits = {
            fold: plan.split(fold, self.clips.unusable) for fold in plan.folds
        }
        for line in remarks(plan, self.splits, self.clips.unusable):
            tell(line)
        others = {
            name: value
            for name, value in plan.identity.content["options"].items()
            if name != "features"
        }
        sides = [
            [fold, list(split.train), list(split.test)]
            for fold, split in self.splits.items()
        ]
        content = plan.identity.content
        hashed = [
            others,
            content["clips"],
            sides,
            *filter(None, [content.get("untimed")]),
        ]
        name = f"importance-{plan.model.name}-{digest(hashed)}"
        self.path = plan.options.runs / plan.dataset / name
        cached = content["cache"]
        self.fingerprints = {
            name: digest([cached[channel] for channel in own])
            for name, own in self.stored.items()
        }

    def known(self) -> bool:
        """Whether the folder has all these features, with the cache's values and the
        same settings.
        """
        if not (self.path / "importance.json").is_file():
            return False
        config = ImportanceFolder(self.path).config
        same_settings = self.settings.items() <= vars(config).items()
        same_values = self.fingerprints.items() <= config.fingerprints.items()
        return same_settings and same_values and {*self.names} <= {*config.features}

    def load(self) -> None:
        """Load the statistics of every fold's clips into memory."""
        plan = self.plan
        Compute().prepare()
        folds = (
            load_fold(plan, fold, split, self.clips, "cpu")
            for fold, split in self.splits.items()
        )
        if not plan.model.kind.in_steps:
            # (D,) the feature of each number that the model reads
            self.owner = np.repeat(self.feature, plan.input.widths)
        else:
            network = draw_network(plan, 0)
            assert isinstance(network, TextureNet), "MODELS has no other network"
            texture = network.shift_invariant
            # the network's order: the means of all channels, their deviations, their
            # modulation spectra
            counts = BANDS, BANDS, texture.size - 2 * BANDS
            values = [
                (self.feature[plane], rows * columns)
                for plane, rows, columns in texture.untimed
            ]
            self.owner = np.concatenate(
                [np.repeat(self.feature, count) for count in counts]
                + [np.repeat(*own) for own in values]
            )
            # feature maps of one fold at a time
            folds = (data.computed_once(texture) for data in folds)
        self.data = {data.fold: data for data in folds}
        self.tested = np.concatenate([data.test for data in self.data.values()])

    def statistics(self, fold: int) -> Resident:
        """A copy of the fold's clips; its values (clips, D, 1, 1) are the numbers that
        the model reads.
        """
        source = self.data[fold].source
        assert isinstance(source, Resident), "statistics are small enough for memory"
        return copy.copy(source)

    def open_folder(self) -> None:
        """Write the folder's clips and configuration; drop the scores of features whose
        values changed.

        The configuration stays if it has these features already.
        """
        plan = self.plan
        prints = self.fingerprints
        clips = plan.scored(self.tested, fold=plan.cache.clips["fold"])
        replace_file(
            self.path / "clips.csv", clips.to_csv(index=False, lineterminator="\n")
        )
        folder = ImportanceFolder(self.path)
        known = (
            dict(folder.config.fingerprints)
            if (self.path / "importance.json").is_file()
            else {}
        )
        stale = {name for name, key in known.items() if prints.get(name, key) != key}
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(
            ["features", "score", *clips["clip_id"]]
        )
        for fit, both in folder.scores.items():
            if not fit.features & stale:
                write_scores(text, fit, both)
        replace_file(self.path / "scores.csv", text.getvalue())
        if self.known():
            return
        x = self.statistics(plan.folds[0]).values.flatten(1).numpy()
        recordings = [
            float(
                np.mean(
                    [
                        self.trained_on(data, part)["group"].nunique()
                        for data in self.data.values()
                    ]
                )
            )
            for part in (*PARTS, "")
        ]
        config = ImportanceConfig(
            dataset=plan.dataset,
            synthetic=plan.cache.synthetic,
            model=plan.options.model,
            task=plan.options.task,
            classes=tuple(SoundClass(**entry) for entry in plan.classes),
            **self.settings,
            features=tuple(self.names),
            fingerprints=known | prints,
            recordings=tuple(recordings),
            clips=len(plan.cache.clips),
            extraction={
                name: ExtractionCost(**plan.cache.extraction_cost(own))
                for name, own in self.stored.items()
            },
            redundancy=tuple(
                map(tuple, linear_cka(x, self.owner, self.names).tolist())
            ),
        )
        replace_file(
            self.path / "importance.json", json.dumps(to_json(config), indent=2) + "\n"
        )

    def fill(self, lacking: Sequence[Fit]) -> None:
        """Make these fits, and append the scores of each as soon as it is made."""
        with (self.path / "scores.csv").open("a", encoding="utf-8", newline="") as file:
            for fit in progress(lacking, label="importance", unit="fits"):
                write_scores(file, fit, self.score(fit))
                file.flush()

    def score(self, fit: Fit) -> Floats:
        """A fit's scores of the test clips: (2, N), the rows of SCORES (see
        `results.importance_folder`).
        """
        probabilities = np.concatenate(
            [self.answers(data, fit) for data in self.data.values()]
        )
        target = self.plan.targets[self.tested]
        if self.plan.tags:
            clips = self.plan.cache.clips.iloc[self.tested]
            _, recording = np.unique(clips["group"], return_inverse=True)
            folds = clips["fold"].to_numpy()
            values = jackknife_values(
                target > 0, fold_ranks(probabilities, folds), recording
            )
            weights = recording_sums(fold_weights(folds)[:, None], recording)[:, 0]
            logarithms = log_probabilities(target > 0, probabilities).mean(axis=1)
            return np.stack([np.exp(logarithms), (values / weights)[recording]])
        of_target = probabilities[np.arange(len(target)), target]
        return np.stack([of_target, probabilities.argmax(axis=1) == target]).astype(
            float
        )

    def trained_on(self, data: FoldData, part: str) -> pd.DataFrame:
        """The training clips of a fold, from one of PARTS of its recordings or, if
        `part` is empty, from all.

        Parts are stratified, and each lies within the next larger one.
        """
        clips = self.plan.table.loc[data.train]
        if not part:
            return clips
        rng = np.random.default_rng([self.plan.options.seed, data.fold])
        return clips[~clips["group"].isin(draw_groups(clips, 1 - PARTS[part], rng))]

    def answers(self, data: FoldData, fit: Fit) -> NDArray[np.float32]:
        """(n, K) probabilities of the fold's test clips, as `make train` predicts them.

        Without a feature, or without two classes to choose from, the probabilities are
        the classes' shares of the training clips.
        """
        plan = self.plan
        clips = self.trained_on(data, fit.part)
        shares = plan.indicator(clips.index.to_numpy()).mean(axis=0)
        chosen = np.isin(self.owner, list(fit.features))
        # a part of the recordings may have one class
        if not chosen.any() or np.isin(shares, [0, 1]).all():
            return np.tile(shares.astype(np.float32), (len(data.test), 1))
        source = self.statistics(data.fold)
        source.values = source.values[:, chosen]
        own = np.isin(self.feature, list(fit.features))
        channels = tuple(
            channel for channel, belongs in zip(plan.input.channels, own) if belongs
        )
        network = draw_network(
            replace(plan, input=replace(plan.input, channels=channels)), data.fold
        )
        data = replace(data, source=source, train=clips.index.to_numpy())
        trainer = (Trainer if plan.model.kind.in_steps else LinearTrainer)(
            data, network, Compute()
        )
        silent = progress(label="", unit="", silent=True)
        while not trainer.finished:
            trainer.train_epoch(silent)
            trainer.epoch += 1
        return trainer.predict(data.test, exact=True)[0]


def write_scores(file: TextIO, fit: Fit, both: Floats) -> None:
    """Write a fit's two lines of scores.csv; 9 digits hold a float32."""
    writer = csv.writer(file, lineterminator="\n")
    for score, row in zip(SCORES, both):
        writer.writerow([str(fit), score, *(f"{number:.9g}" for number in row)])


def summary(folder: ImportanceFolder) -> str:
    """A table of MEASURES for each feature, as means over folds, the most important
    feature first.
    """
    weights = fold_weights(folder.clips["fold"].to_numpy())
    gains, hits = (
        {name: weights @ values for name, values in folder.contributions(score).items()}
        for score in SCORES
    )
    rows = [
        (
            folder.features[place],
            *(
                f"{gains[name][place]:.3f} ({points(hits[name][place])})"
                for name in MEASURES
            ),
        )
        for place in np.argsort(-gains["shapley"], kind="stable")
    ]
    table = text_table(rows, ("", *MEASURES.values())).replace("nan (+nan)", "the best")
    legend = LEGEND.format(folder.config.score)
    lines = [f"{folder.path}: {len(folder.clips)} test clips", table, legend]
    if orders := folder.permutations:
        error = sampled_shapley(folder.values(), folder.features, orders)[1].max()
        lines.append(
            f"standard error of a share: {error:.3f} at most, from {len(orders)}"
            " permutations"
        )
    return "\n".join(lines)
