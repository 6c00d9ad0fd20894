"""Which features matter: the folder of subset scores, and Shapley values of them. No torch.

    runs/<dataset>/importance-<model>-<hash>/
        importance.json   configuration; each feature with the fingerprint of its cached values
        clips.csv         clip_id, group, fold, target: a row a test clip
        scores.csv        features (`a b`), score (probability | correct), then a column a test clip

scores.csv has two lines a subset, appended in one write: the probability of each clip's true class, and
whether that class was the most probable. What a kill leaves of a line is not read, and goes before the next.

The value of a subset for a clip is the logarithm of its true class's probability, in nats; that of no feature
is what the classes' shares among the training clips give. Conventions: N clips, F features, a subset as a bit
mask over them; P permutations, in pairs of one and its reverse.
"""

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.registry import RequestError
from results.scores import SMALLEST_PROBABILITY, Floats

SCORES = ("probability", "correct")
EXACT = 8  # features at most, of which every subset is fitted

Values = Mapping[int, Floats]  # subset -> (N,) by clip
Permutations = NDArray[np.intp]  # (P, F)


@dataclass(frozen=True)
class ImportanceFolder:
    """One configuration's scores of subsets, read."""

    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        try:
            return json.loads((self.path / "importance.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RequestError(f"{self.path / 'importance.json'} cannot be read ({error})") from None

    @property
    def features(self) -> list[str]:
        """In the order in which they were given."""
        return list(self.config["features"])

    @cached_property
    def clips(self) -> pd.DataFrame:
        """clip_id, group, target as text, fold as numbers: (N,) rows."""
        text = dict.fromkeys(("clip_id", "group", "target"), str)
        return pd.read_csv(self.path / "clips.csv", dtype=text, keep_default_na=False)

    def scores(self) -> dict[frozenset[str], Floats]:
        """Subset -> (2, N), by SCORES. RequestError if the file is damaged."""
        file = self.path / "scores.csv"
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
        try:
            header = next(rows, None)
            if header and header[2:] != self.clips["clip_id"].tolist():
                raise ValueError("its clips are not those of clips.csv")
            read: dict[frozenset[str], Floats] = {}
            for probability, correct in zip(rows, rows):
                if (probability[0], probability[1], correct[1]) != (correct[0], *SCORES):
                    raise ValueError(f"{probability[0]} does not have its two lines")
                subset = frozenset(probability[0].split())
                read[subset] = np.array([probability[2:], correct[2:]], dtype=float)
        except (ValueError, IndexError) as error:
            raise RequestError(f"{file} is damaged ({error}): remove it and repeat the command") from None
        return read

    def values(self, score: str = "probability") -> Values:
        """Of the subsets of `features` alone: log probabilities, or 1 and 0 for correct."""
        number = {name: 1 << place for place, name in enumerate(self.features)}
        values = {}
        for subset, both in self.scores().items():
            if subset <= number.keys():
                chosen = both[SCORES.index(score)]
                logs = np.log(np.maximum(chosen, SMALLEST_PROBABILITY))
                values[sum(map(number.__getitem__, subset))] = logs if score == "probability" else chosen
        return values

    @property
    def permutations(self) -> Permutations:
        """Those that sampled Shapley values need; of up to EXACT features there are none."""
        return permutations(len(self.features), self.config["permutations"], self.config["seed"])


def permutations(features: int, number: int, seed: int) -> Permutations:
    """(P, F): `number` pairs of an order of the features and its reverse (antithetic)."""
    if features <= EXACT:
        return np.zeros((0, features), np.intp)
    rng = np.random.default_rng([seed, features])
    orders = [rng.permutation(features) for _ in range(number)]
    return np.array([order[::way] for order in orders for way in (1, -1)])


def shapley(values: Values, features: int) -> Floats:
    """(N, F) exact Shapley values from all 2^F subsets; of each clip they sum to v(all) - v(none)."""
    shares = np.zeros((len(values[0]), features))
    for subset, worth in values.items():
        size = subset.bit_count()
        for feature in range(features):
            if subset >> feature & 1:  # as the one that joined, else as the one that is still to join
                shares[:, feature] += worth / (features * math.comb(features - 1, size - 1))
            else:
                shares[:, feature] -= worth / (features * math.comb(features - 1, size))
    return shares


def sampled_shapley(values: Values, orders: Permutations) -> tuple[Floats, Floats]:
    """(N, F) Shapley values from the prefixes of the orders, and the standard errors (F,) of their means."""
    gains = np.zeros((len(orders), len(values[0]), orders.shape[1]))
    for number, order in enumerate(orders):
        subset = 0
        for feature in order:
            gains[number, :, feature] = values[subset | 1 << int(feature)] - values[subset]
            subset |= 1 << int(feature)
    pairs = gains.mean(axis=1).reshape(-1, 2, orders.shape[1]).mean(axis=1)  # of one and its reverse
    return gains.mean(axis=0), pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))


def prefixes(orders: Permutations) -> set[int]:
    """The subsets that the orders pass through."""
    return {
        sum(1 << int(feature) for feature in order[:length])
        for order in orders
        for length in range(1, len(order) + 1)
    }


def contributions(values: Values, features: int, orders: Permutations) -> dict[str, Floats]:
    """(N, F) each: what each feature gives to each clip.

    shapley  its share of what all of them give     lost   all of them less all but it
    alone    it less none of them                   added  it and the best single one less that one, NaN for
                                                           the best single one itself
    """
    whole, single = (1 << features) - 1, [1 << feature for feature in range(features)]
    best = max(single, key=lambda subset: values[subset].mean())
    shares = sampled_shapley(values, orders)[0] if len(orders) else shapley(values, features)
    return {
        "shapley": shares,
        "alone": np.stack([values[subset] - values[0] for subset in single], axis=1),
        "lost": np.stack([values[whole] - values[whole & ~subset] for subset in single], axis=1),
        "added": np.stack(
            [values[subset | best] - values[best] + (np.nan if subset == best else 0) for subset in single],
            axis=1,
        ),
    }


def interactions(values: Values, features: int) -> Floats:
    """(F, F) mean over clips of v(ij) - v(i) - v(j) + v(none), negative if both say the same.

    NaN if the pair has not been fitted.
    """
    table = np.full((features, features), np.nan)
    for i, j in itertools.permutations(range(features), 2):
        if (1 << i | 1 << j) in values:
            table[i, j] = (values[1 << i | 1 << j] - values[1 << i] - values[1 << j] + values[0]).mean()
    return table
