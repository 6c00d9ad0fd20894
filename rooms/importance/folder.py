"""The folder of `make importance`: the scores of fits to subsets of the features, and
Shapley values of the features from them. No torch.

    runs/<dataset>/importance-<model>-<hash>/
        importance.json   configuration; each feature with the fingerprint of its cached
                          values and its cost
        clips.csv         one row for each test clip: clip_id, group, fold, target
        scores.csv        features (`a b`), score (probability | correct), then one
                          column for each test clip

scores.csv has two lines for each fit, appended when it is done: the probability of each
clip's true class, and whether that class was the most probable. With tags the first
line is the geometric mean, over the classes, of the probability of what is true: the
clip has the label, or it has not. The second line is each clip's part of mAP; averaged
over the clips of each fold, then over the folds, it gives mAP.

Lines that a kill cut short are not read, and are removed before the next are written.

A feature set has a value v for each clip: the logarithm of the true class's
probability, in nats, or 1 for a correct prediction and 0 for another. With tags it is
the sum of the log probabilities over the classes, or the clip's part of mAP. The value
of the empty set comes from the class frequencies among the training clips. Conventions:
N clips, F features.
"""

import csv
import glob
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import SEED
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import text_table
from featurestack.results.config import (
    ExtractionCost,
    Record,
    SoundClass,
    checked,
    distinct_names,
    read_config,
)
from featurestack.results.run_folder import damage_named
from featurestack.results.select_runs import fitting
from featurestack.scores.metrics import SMALLEST_PROBABILITY, Floats
from featurestack.scores.tasks.base import labels_of
from featurestack.scores.tasks.registry import task_of

IMPORTANCE = "importance-"  # prefix of a folder's name
SCORES = ("probability", "correct")
Subset = frozenset[str]  # features that one fit has
NONE: Subset = frozenset()
Values = Mapping[Subset, Floats]  # feature set -> (N,) values of the clips
EXACT = 8  # up to this number of features, every subset is fitted
PAIRS = 20  # pairs of an order and its reverse, for more features
REMEDY = "remove its folder and measure it again"


# ---- Shapley values


def permutations(features: Sequence[str], number: int, seed: int) -> list[list[str]]:
    """`number` random orders, each followed by its reverse (antithetic)."""
    if len(features) <= EXACT:
        return []
    rng = np.random.default_rng([seed, len(features)])
    orders = []
    for _ in range(number):
        places = rng.permutation(len(features))
        order = [features[place] for place in places]
        orders += [order, order[::-1]]
    return orders


def shapley(values: Values, features: Sequence[str]) -> Floats:
    """(N, F) exact values of 2^F subsets; a clip's sum to v(all) - v(none)."""
    count = len(features)
    clips = len(values[NONE])
    shares = np.zeros((clips, count))
    for fit in values:
        # orders of the other features in which just these come before
        weight = count * math.comb(count - 1, len(fit))
        for place, name in enumerate(features):
            if name not in fit:
                gain = values[fit | {name}] - values[fit]
                shares[:, place] += gain / weight
    return shares


def sampled_shapley(
    values: Values, features: Sequence[str], orders: Sequence[Sequence[str]]
) -> tuple[Floats, Floats]:
    """Shapley values (N, F) of the orders, and standard errors (F,)."""
    clips = len(values[NONE])
    gains = np.zeros((len(orders), clips, len(features)))
    for number, order in enumerate(orders):
        for size, name in enumerate(order):
            before = frozenset(order[:size])
            gain = values[before | {name}] - values[before]
            place = features.index(name)
            gains[number, :, place] = gain
    means = gains.mean(axis=1)
    # an order and its reverse are drawn together
    pairs = means.reshape(-1, 2, len(features)).mean(axis=1)
    deviations = pairs.std(axis=0, ddof=1)
    errors = deviations / np.sqrt(len(pairs))
    return gains.mean(axis=0), errors


# ---- the folder


class ImportanceConfig(Record):
    """The content of importance.json."""

    dataset: str
    synthetic: bool
    model: str
    task: str
    classes: tuple[SoundClass, ...] = checked(check=distinct_names)
    seed: int = checked(**SEED)
    features: tuple[str, ...]
    # feature sets of which these are the best by their scores on the tested folds
    composed_from: int = checked(0, default=0)
    fingerprints: Mapping[str, str]  # feature -> digest of its cached values
    clips: int = checked(1)  # clips in the cache
    extraction: Mapping[str, ExtractionCost]

    @property
    def score(self) -> str:
        """The score that is the mean of a fit's second line."""
        return task_of(self.task).metric.title


@dataclass(frozen=True)
class ImportanceFolder:
    """The scores of one configuration's features, or of the `chosen` ones."""

    path: Path
    chosen: tuple[str, ...] = ()

    @cached_property
    def config(self) -> ImportanceConfig:
        file = self.path / "importance.json"
        with damage_named(file, REMEDY):
            content = json.loads(file.read_text(encoding="utf-8"))
        return read_config(content, ImportanceConfig, str(file), REMEDY)

    @property
    def features(self) -> list[str]:
        """The features, in the order in which they were given."""
        return list(self.chosen or self.config.features)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """N rows: clip_id, group, target as text, fold as a number."""
        text = dict.fromkeys(("clip_id", "group", "target"), str)
        file = self.path / "clips.csv"
        with damage_named(file, REMEDY):
            return pd.read_csv(
                file, dtype=text, usecols=[*text, "fold"], keep_default_na=False
            )

    @property
    def labels(self) -> pd.DataFrame:
        """(N, K): whether a test clip has each class that one has."""
        names = [entry.name for entry in self.config.classes]
        labels = labels_of(task_of(self.config.task), self.clips["target"], names)
        table = pd.DataFrame(labels, columns=names)
        return table.loc[:, table.any()]

    @cached_property
    def scores(self) -> dict[Subset, Floats]:
        """Subset -> (2, N): the rows of SCORES. RequestError if the file is damaged."""
        file = self.path / "scores.csv"
        read = {}
        with damage_named(file, REMEDY):
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
            header = next(rows, None)
            if header and header[2:] != self.clips["clip_id"].tolist():
                raise ValueError("its clips are not those of clips.csv")
            for probability, correct in zip(rows, rows):
                fit, first_score, *probabilities = probability
                other_fit, second_score, *hits = correct
                if fit != other_fit or (first_score, second_score) != SCORES:
                    raise ValueError(f"{fit} does not have its two lines")
                scores = np.array([probabilities, hits], dtype=float)
                read[frozenset(fit.split())] = scores
        return read

    def values(self, score: str = "probability") -> Values:
        """subset of `features` -> log probabilities, or the row `correct`.

        With tags a clip's log probabilities are summed over the classes.
        """
        row = SCORES.index(score)
        names = set(self.features)
        task = task_of(self.config.task)
        labels = len(self.config.classes) if task.multilabel else 1  # labels per clip
        values = {}
        for subset, scores in self.scores.items():
            if not subset <= names:
                continue
            of_clips = scores[row]
            if score == "probability":
                positive = np.maximum(of_clips, SMALLEST_PROBABILITY)
                of_clips = labels * np.log(positive)
            elif subset == NONE and not task.multilabel:
                # the best constant answer, whatever the folds' own shares are
                of_clips = np.full(
                    len(of_clips), self.labels.to_numpy().mean(axis=0).max()
                )
            values[subset] = of_clips
        return values

    @property
    def permutations(self) -> list[list[str]]:
        """Orders for sampled Shapley values; none up to EXACT features."""
        return permutations(self.features, PAIRS, self.config.seed)

    @property
    def lacking(self) -> list[Subset]:
        """The subsets that are still to be fitted.

        The order: all features, none, all but one, single features, then by size (above
        EXACT features only those that begin an order in `permutations`). Once these are
        there, pairs with the best feature follow.
        """
        names = self.features
        orders = self.permutations
        whole = frozenset(names)
        wanted = [whole, NONE]
        wanted += [whole - {name} for name in names]
        wanted += [frozenset({name}) for name in names]
        for size in range(2, len(names)):
            if orders:
                wanted += [frozenset(order[:size]) for order in orders]
            else:
                wanted += map(frozenset, itertools.combinations(names, size))
        lacking = [fit for fit in dict.fromkeys(wanted) if fit not in self.scores]
        if lacking:
            return lacking
        pairs = (frozenset({self.best, name}) for name in names)
        return [pair for pair in pairs if pair not in self.scores]

    @property
    def best(self) -> str:
        """The best single feature."""
        values = self.values()
        return max(self.features, key=lambda name: values[frozenset({name})].mean())

    def contributions(self, score: str = "probability") -> dict[str, Floats]:
        """Contributions (N, F) of each feature to each clip, from the values v of
        feature sets.

        shapley  Shapley value
        alone    v(it) - v(none)
        lost     v(all) - v(all but it)
        added    v(it and the best single one) - v(the best single one); NaN for the
                 best single one itself
        """
        values = self.values(score)
        orders = self.permutations
        features = self.features
        whole = frozenset(features)
        best = frozenset({self.best})
        if orders:
            shares, _ = sampled_shapley(values, features, orders)
        else:
            shares = shapley(values, features)
        single = [frozenset({name}) for name in features]
        alone = [values[one] - values[NONE] for one in single]
        lost = [values[whole] - values[whole - one] for one in single]
        added = [values[best | one] - values[best] for one in single]
        added[features.index(self.best)][:] = np.nan
        gains = {"alone": alone, "lost": lost, "added": added}
        stacked = {name: np.stack(columns, axis=1) for name, columns in gains.items()}
        return {"shapley": shares, **stacked}


def find_importance(runs: Path, dataset: str = "") -> list[ImportanceFolder]:
    """The importance folders below `runs`, of one dataset or of all."""
    folders = glob.escape(dataset) or "*"
    files = sorted(runs.glob(f"{folders}/{IMPORTANCE}*/importance.json"))
    return [ImportanceFolder(file.parent) for file in files]


def find_importance_folder(runs: Path, word: str, dataset: str = "") -> Path:
    """The folder of this path, name or unique prefix."""
    if (Path(word) / "importance.json").is_file():
        return Path(word)
    paths = [folder.path for folder in find_importance(runs, dataset)]
    known = {f"{path.parent.name}/{path.name}": path for path in paths}
    return fitting(word, known, "importance folder")


def listing(runs: Path) -> tuple[list[str], list[str]]:
    """A heading and a table of the folders; and what cannot be read."""
    rows = []
    problems = []
    for folder in find_importance(runs):
        try:
            features = " ".join(folder.features)
            place = folder.path.relative_to(runs)
            rows.append((place, folder.config.model, features))
        except (RequestError, OSError) as error:
            problems.append(str(error))
    table = text_table(rows, ("folder", "model", "features"))
    title = (
        f"Importance (RUNS={runs}; {make_command('train remove', 'NAME')} deletes one)"
    )
    return [title, table] if rows else [], problems
