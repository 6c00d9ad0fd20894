"""Which features matter: the folder of subset scores, and Shapley values of them. No torch.

    runs/<dataset>/importance-<model>-<hash>/
        importance.json   configuration; each feature with the fingerprint of its cached values and its cost
        clips.csv         clip_id, group, fold, target: a row a test clip
        scores.csv        features (`a b`), score (probability | correct), then a column a test clip

scores.csv has two lines a fit, appended in one write: the probability of each clip's true class, and whether
that class was the most probable. A fit is named by its features; `1/4` beside them is one on so many of the
training recordings. What a kill leaves of a line is not read, and goes before the next.

The value of a feature set for a clip is the logarithm of its true class's probability, in nats; that of no
feature is what the classes' shares among the training clips give. Conventions: N clips, F features; P
permutations, in pairs of one and its reverse.
"""

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.run_folder import damage_named
from results.scores import SMALLEST_PROBABILITY, Floats

SCORES = ("probability", "correct")
EXACT = 8  # features at most, of which every subset is fitted
PARTS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2}  # of the training recordings, beside all of them

Fit = frozenset[str]  # the names of its features, perhaps with one of PARTS
Values = Mapping[Fit, Floats]  # (N,) by clip
NONE: Fit = frozenset()
REMEDY = "remove its folder and repeat make importance"


@dataclass(frozen=True)
class ImportanceFolder:
    """One configuration's scores of subsets, read."""

    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        file = self.path / "importance.json"
        with damage_named(file, REMEDY):
            return json.loads(file.read_text(encoding="utf-8"))

    @property
    def features(self) -> list[str]:
        """In the order in which they were given."""
        return list(self.config["features"])

    @cached_property
    def clips(self) -> pd.DataFrame:
        """clip_id, group, target as text, fold as numbers: (N,) rows."""
        text = dict.fromkeys(("clip_id", "group", "target"), str)
        file = self.path / "clips.csv"
        with damage_named(file, REMEDY):
            return pd.read_csv(file, dtype=text, usecols=[*text, "fold"], keep_default_na=False)

    @cached_property
    def scores(self) -> dict[Fit, Floats]:
        """Fit -> (2, N), by SCORES. RequestError if the file is damaged."""
        file = self.path / "scores.csv"
        read = {}
        with damage_named(file, REMEDY):
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
            header = next(rows, None)
            if header and header[2:] != self.clips["clip_id"].tolist():
                raise ValueError("its clips are not those of clips.csv")
            for probability, correct in zip(rows, rows):
                if (probability[0], probability[1], correct[1]) != (correct[0], *SCORES):
                    raise ValueError(f"{probability[0]} does not have its two lines")
                scores = np.array([probability[2:], correct[2:]], dtype=float)
                read[frozenset(probability[0].split())] = scores
        return read

    def values(self, score: str = "probability") -> Values:
        """Of the subsets of `features` alone: log probabilities, or 1 and 0 for correct."""
        row = SCORES.index(score)
        names = set(self.features)
        values = {fit: both[row] for fit, both in self.scores.items() if fit <= names}
        if score == "correct":
            return values
        return {fit: np.log(np.maximum(value, SMALLEST_PROBABILITY)) for fit, value in values.items()}

    @property
    def permutations(self) -> list[list[str]]:
        """Those that sampled Shapley values need; of up to EXACT features there are none."""
        return permutations(self.features, self.config["permutations"], self.config["seed"])

    @property
    def lacking(self) -> list[Fit]:
        """The fits to be made, the largest first; after them, pairs with the best single feature."""
        names = self.features
        orders = self.permutations
        whole = frozenset(names)
        wanted = [whole, NONE, *(whole - {name} for name in names), *(whole | {part} for part in PARTS)]
        wanted += [frozenset({name}) for name in names]
        for size in range(2, len(names)):
            sets = (order[:size] for order in orders) if orders else itertools.combinations(names, size)
            wanted += map(frozenset, sets)
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
        """(N, F) each: what each feature gives to each clip.

        shapley  its share of what all of them give     lost   all of them less all but it
        alone    it less none of them                   added  it and the best single one less that one, NaN
                                                               for the best single one itself
        """
        values = self.values(score)
        orders = self.permutations
        features = self.features
        whole = frozenset(features)
        best = frozenset({self.best})
        gains = {
            "alone": [values[frozenset({name})] - values[NONE] for name in features],
            "lost": [values[whole] - values[whole - {name}] for name in features],
            "added": [
                values[best | {name}] - values[best] + (np.nan if name in best else 0) for name in features
            ],
        }
        shares = sampled_shapley(values, features, orders)[0] if orders else shapley(values, features)
        return {"shapley": shares} | {name: np.stack(columns, axis=1) for name, columns in gains.items()}


def permutations(features: Sequence[str], number: int, seed: int) -> list[list[str]]:
    """`number` pairs of an order of the features and its reverse (antithetic); none of up to EXACT."""
    if len(features) <= EXACT:
        return []
    rng = np.random.default_rng([seed, len(features)])
    orders = [[features[place] for place in rng.permutation(len(features))] for _ in range(number)]
    return [order[::way] for order in orders for way in (1, -1)]


def shapley(values: Values, features: Sequence[str]) -> Floats:
    """(N, F) exact Shapley values from all 2^F subsets; of each clip they sum to v(all) - v(none)."""
    shares = np.zeros((len(values[NONE]), len(features)))
    count = len(features)
    for fit, (place, name) in itertools.product(values, enumerate(features)):
        if name not in fit:
            gain = values[fit | {name}] - values[fit]
            shares[:, place] += gain / (count * math.comb(count - 1, len(fit)))
    return shares


def sampled_shapley(
    values: Values, features: Sequence[str], orders: Sequence[Sequence[str]]
) -> tuple[Floats, Floats]:
    """(N, F) Shapley values from the prefixes of the orders, and the standard errors (F,) of their means."""
    gains = np.zeros((len(orders), len(values[NONE]), len(features)))
    for number, order in enumerate(orders):
        for size, name in enumerate(order):
            before = frozenset(order[:size])
            gains[number, :, features.index(name)] = values[before | {name}] - values[before]
    pairs = gains.mean(axis=1).reshape(-1, 2, len(features)).mean(axis=1)  # of one and its reverse
    return gains.mean(axis=0), pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))


def interactions(values: Values, features: Sequence[str]) -> Floats:
    """(F, F) mean over clips of v(ij) - v(i) - v(j) + v(none), negative if both say the same.

    NaN if the pair has not been fitted.
    """
    table = np.full((len(features), len(features)), np.nan)
    for (i, one), (j, other) in itertools.permutations(enumerate(features), 2):
        if (pair := frozenset({one, other})) in values:
            single = values[frozenset({one})] + values[frozenset({other})]
            table[i, j] = (values[pair] - single + values[NONE]).mean()
    return table


def linear_cka(x: NDArray[np.floating], feature: NDArray[np.str_], features: Sequence[str]) -> Floats:
    """(F, F) linear centred kernel alignment of features (Kornblith et al. 2019).

    1 if they say the same up to rotation and scale.

    x        (N, D) statistics, of which each column is standardised
    feature  (D,) the name of the feature that each is of
    """
    spread = x.std(axis=0, dtype=float)
    standard = (x - x.mean(axis=0, dtype=float)) / np.where(spread > 0, spread, 1)
    member = (feature[:, None] == np.array(features)).astype(float)  # (D, F)
    shared = member.T @ (standard.T @ standard) ** 2 @ member
    size = np.sqrt(np.maximum(np.diag(shared), np.finfo(float).tiny))
    return shared / np.outer(size, size)
