"""`python -m train importance`: what each feature is worth, alone and beside the others.

Logistic regression on the mean and deviation of each row is fitted to every subset of up to eight features,
of more to those that antithetic permutations pass through (Shapley values by sampling; Castro, Gómez and
Tejada 2009). Folds, clips and fits are those of `make train MODEL=linear`; no choice is made by a test fold.

Subsets that the folder has are not fitted again, so that a further feature costs only the new ones.
"""

import csv
import io
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from commandline.files import Lock, replace_file
from commandline.registry import RequestError
from commandline.terminal import counted, duration, points, progress, tell, text_table
from features_cache.names import parse_list
from features_cache.splits import Split
from results.config import digest
from results.importance import (
    EXACT,
    SCORES,
    ImportanceFolder,
    contributions,
    permutations,
    prefixes,
    sampled_shapley,
)
from results.scores import Floats
from train.data import InputReader, chunked, sum_clips
from train.models import linear
from train.options import ImportanceOptions, RunOptions
from train.plan import Plan, input_width, make_plan, open_cache, remarks, stored_shape

MEASURES = {"shapley": "share", "alone": "alone", "lost": "lost without", "added": "added to best"}
LEGEND = "in millinats a clip of log probability (accuracy points in brackets); share is the Shapley value"


def measure_importance(options: ImportanceOptions) -> ImportanceFolder:
    """Fit what is not there yet.

    measure_importance(ImportanceOptions(dataset="esc10", features="mel mfcc chroma"))
    """
    shared = {name: getattr(options, name) for name in ("dataset", "name", "data", "runs", "task")}
    groups = parse_list(options.features, open_cache(RunOptions(**shared)).features)
    features = "+".join("+".join(map(str, group)) for group in groups)
    plan = make_plan(RunOptions(**shared, features=features, model=options.model))
    if plan.model.kind != "linear":
        raise RequestError(
            f"MODEL={options.model}: importance is measured by linear models: linear, linear@C=1"
        )
    unusable = sum_clips(plan, plan.table.index.to_numpy()).unusable
    splits = {fold: plan.split(fold, unusable) for fold in plan.folds}
    for line in remarks(plan, splits, unusable):
        tell(line)
    fits = SubsetFits(plan, [len(group) for group in groups], splits)
    count = len(fits.names)
    if count < 2 or len(set(fits.names)) < count:
        raise RequestError(f"FEATURES={options.features}: expected two or more different features")
    with Lock(fits.path / ".lock", busy=f"{fits.path} is being filled by another process"):
        folder = fits.open_folder(options)
        fits.fill(folder, wanted_subsets(count, options))
        values = folder.values()
        best = max((1 << feature for feature in range(count)), key=lambda single: values[single].mean())
        fits.fill(folder, [best | 1 << feature for feature in range(count)])
    return folder


def wanted_subsets(features: int, options: ImportanceOptions) -> list[int]:
    """The full set first, which takes longest; then none, the single ones, all but one, and the rest."""
    whole = (1 << features) - 1
    single = [1 << feature for feature in range(features)]
    rest = set(range(whole)) if features <= EXACT else set()
    rest |= prefixes(permutations(features, options.permutations, options.seed))
    return list(dict.fromkeys([whole, 0, *single, *(whole & ~one for one in single), *sorted(rest)]))


class SubsetFits:
    """Fits of subsets of named features, over the folds of a plan of all of them."""

    def __init__(self, plan: Plan, sizes: list[int], splits: dict[int, Split]) -> None:
        """`sizes`: of how many of the plan's channels each feature consists."""
        self.plan, self.splits = plan, splits
        channels = iter(plan.channels)
        self.groups = [[next(channels) for _ in range(size)] for size in sizes]
        self.names = ["+".join(map(str, group)) for group in self.groups]
        widths = [
            sum(input_width("linear", stored_shape(plan.cache, channel)) for channel in group)
            for group in self.groups
        ]
        self.columns = np.split(np.arange(sum(widths)), np.cumsum(widths)[:-1])
        self.tested = plan.positions([clip for split in splits.values() for clip in split.test])
        every = plan.table.index.to_numpy()
        reader, chunks = InputReader(plan, []), chunked(every)
        parts = [reader(chunk).numpy() for chunk in progress(chunks, label="statistics", unit="batches")]
        self.row = np.full(len(plan.cache.clips), -1)
        self.row[every] = np.arange(len(every))
        self.x = np.concatenate(parts)  # (clips, D)

    @property
    def path(self) -> Path:
        """Of one configuration, whatever the features."""
        plan = self.plan
        exact = {name: value for name, value in plan.content["options"].items() if name != "features"}
        sides = [[fold, list(split.train), list(split.test)] for fold, split in self.splits.items()]
        hash_ = digest([exact, plan.content["clips"], sides])
        return plan.options.runs / plan.dataset / f"importance-{plan.model.name}-{hash_}"

    def open_folder(self, options: ImportanceOptions) -> ImportanceFolder:
        """The folder with its configuration and clips; scores of features whose values changed are gone."""
        plan, cached = self.plan, self.plan.content["cache"]
        folds = np.repeat(list(self.splits), [len(split.test) for split in self.splits.values()])
        clips = plan.cache.clips.iloc[self.tested][["clip_id", "group"]]
        clips = clips.assign(fold=folds, target=np.array(plan.names, object)[plan.targets[self.tested]])
        replace_file(self.path / "clips.csv", clips.to_csv(index=False, lineterminator="\n").encode("utf-8"))
        folder = ImportanceFolder(self.path)
        known = folder.config["fingerprints"] if (self.path / "importance.json").is_file() else {}
        prints = {
            name: digest([cached[channel.stored] for channel in group])
            for name, group in zip(self.names, self.groups)
        }
        stale = {name for name, key in known.items() if prints.get(name, key) != key}
        lines = [_lines(subset, both) for subset, both in folder.scores().items() if not subset & stale]
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(["features", "score", *clips["clip_id"]])
        replace_file(self.path / "scores.csv", "".join([header.getvalue(), *lines]).encode("utf-8"))
        config = {key: plan.config()[key] for key in ("dataset", "synthetic", "model", "task", "classes")} | {
            "features": self.names,
            "fingerprints": known | prints,
            "permutations": options.permutations,
            "seed": options.seed,
            "extraction": {
                name: plan.cache.extraction_cost([channel.stored for channel in group])
                for name, group in zip(self.names, self.groups)
            },
        }
        replace_file(self.path / "importance.json", (json.dumps(config, indent=2) + "\n").encode("utf-8"))
        return ImportanceFolder(self.path)

    def fill(self, folder: ImportanceFolder, subsets: Iterable[int]) -> None:
        """Append the scores of the subsets that the folder lacks, each as soon as it is fitted."""
        done = folder.scores()
        lacking = [subset for subset in subsets if self.named(subset) not in done]
        started = time.perf_counter()
        with (folder.path / "scores.csv").open("a", encoding="utf-8", newline="") as file:
            for number, subset in enumerate(progress(lacking, label="importance", unit="subsets")):
                file.write(_lines(self.named(subset), self.score(subset)))
                file.flush()
                if not number and len(lacking) > 1:  # the first is the largest: half of its time on average
                    seconds = (time.perf_counter() - started) * len(lacking) / 2
                    tell(f"{counted(len(lacking), 'subset')}, about {duration(seconds)}")

    def named(self, subset: int) -> frozenset[str]:
        return frozenset(name for place, name in enumerate(self.names) if subset >> place & 1)

    def score(self, subset: int) -> Floats:
        """(2, N): the probability of each test clip's true class, and whether it was the most probable."""
        chosen = [own for place, own in enumerate(self.columns) if subset >> place & 1]
        columns = np.concatenate(chosen) if chosen else np.arange(0)
        answers = [self.answers(split, columns) for split in self.splits.values()]
        target = self.plan.targets[self.tested]
        probabilities = np.concatenate(answers)
        of_target = probabilities[np.arange(len(target)), target]
        return np.stack([of_target, probabilities.argmax(axis=1) == target]).astype(float)

    def answers(self, split: Split, columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """(n, K) probabilities of the fold's test clips, as `make train MODEL=linear` predicts them."""
        plan, classes = self.plan, len(self.plan.names)
        train, test = plan.positions(split.train), plan.positions(split.test)
        y, originals = plan.targets[train], np.isin(split.train, split.statistics)
        if not len(columns):
            shares = np.bincount(y[originals], minlength=classes) / originals.sum()
            return np.tile(shares.astype(np.float32), (len(test), 1))
        x = self.x[:, columns]
        network = plan.model.build(len(plan.channels), classes, (len(columns), 1))
        linear.fit(network, x[self.row[train]], y, originals)  # type: ignore[arg-type]
        with torch.no_grad():
            return network(torch.from_numpy(x[self.row[test]])).softmax(1).numpy()


def _lines(subset: frozenset[str], both: Floats) -> str:
    """A subset's two lines of scores.csv; 9 digits hold a float32."""
    text = io.StringIO()
    for score, numbers in zip(SCORES, both):
        row = [" ".join(sorted(subset)), score, *(f"{number:.9g}" for number in numbers)]
        csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


def summary(folder: ImportanceFolder) -> str:
    """The means over clips of each feature's four numbers, the most important feature first."""
    features, orders = folder.features, folder.permutations
    gains = contributions(folder.values(), len(features), orders)
    hits = contributions(folder.values("correct"), len(features), orders)
    table = pd.DataFrame(
        {
            heading: [
                f"{1000 * gain:.0f} ({points(hit)})" if np.isfinite(gain) else "the best"
                for gain, hit in zip(gains[name].mean(axis=0), hits[name].mean(axis=0))
            ]
            for name, heading in MEASURES.items()
        },
        index=features,
    )
    table = table.iloc[np.argsort(-gains["shapley"].mean(axis=0), kind="stable")]
    rows = [(feature, *row) for feature, row in zip(table.index, table.values.tolist())]
    lines = [f"{folder.path}: {len(folder.clips)} test clips", text_table(rows, ("", *table.columns)), LEGEND]
    if len(orders):
        error = 1000 * sampled_shapley(folder.values(), orders)[1].max()
        lines.append(f"standard error of a share: {error:.0f} at most, from {len(orders)} permutations")
    return "\n".join(lines)
