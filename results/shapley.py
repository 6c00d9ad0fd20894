"""Shapley values of features, interactions of pairs, and similarity of their
statistics. No torch.

A feature set has a value v for each clip: the logarithm of the true class's
probability, in nats, or 1 for a correct prediction and 0 for another. With tags it is
the sum of the log probabilities over the classes, or the clip's part of mAP
(results/importance_folder.py). The value of the empty set comes from the class
frequencies among the training clips. Conventions: N clips, F features.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featurestack.results.scores import Floats

EXACT = 8  # up to this number of features, every subset is fitted

Values = Mapping[frozenset[str], Floats]  # feature set -> (N,) values of the clips
NONE: frozenset[str] = frozenset()


def permutations(features: Sequence[str], number: int, seed: int) -> list[list[str]]:
    """`number` random orders, each followed by its reverse (antithetic); none for up to
    EXACT features.
    """
    if len(features) <= EXACT:
        return []
    rng = np.random.default_rng([seed, len(features)])
    orders = [
        [features[place] for place in rng.permutation(len(features))]
        for _ in range(number)
    ]
    return [order[::way] for order in orders for way in (1, -1)]


def shapley(values: Values, features: Sequence[str]) -> Floats:
    """(N, F) exact Shapley values from all 2^F subsets; a clip's values sum to v(all) -
    v(none).
    """
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
    """Shapley values (N, F) from the prefixes of the orders, and the standard errors
    (F,) of their means.
    """
    gains = np.zeros((len(orders), len(values[NONE]), len(features)))
    for number, order in enumerate(orders):
        for size, name in enumerate(order):
            before = frozenset(order[:size])
            gains[number, :, features.index(name)] = (
                values[before | {name}] - values[before]
            )
    # means of an order and its reverse
    pairs = gains.mean(axis=1).reshape(-1, 2, len(features)).mean(axis=1)
    return gains.mean(axis=0), pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))


def interactions(values: Values, features: Sequence[str]) -> Floats:
    """(F, F) mean over clips of v(ij) - v(i) - v(j) + v(none); negative values mean
    redundancy.

    NaN if the pair has not been fitted.
    """
    table = np.full((len(features), len(features)), np.nan)
    for (i, one), (j, other) in itertools.permutations(enumerate(features), 2):
        if (pair := frozenset({one, other})) in values:
            single = values[frozenset({one})] + values[frozenset({other})]
            table[i, j] = (values[pair] - single + values[NONE]).mean()
    return table


def linear_cka(
    x: NDArray[np.floating], feature: NDArray[np.str_], features: Sequence[str]
) -> Floats:
    """(F, F) linear centred kernel alignment of features (Kornblith et al. 2019).

    1 if two features have the same statistics up to rotation and scale.

    x        (N, D) statistics; each column is standardised here
    feature  (D,) the feature's name of each column
    """
    spread = x.std(axis=0, dtype=float)
    standard = (x - x.mean(axis=0, dtype=float)) / np.where(spread > 0, spread, 1)
    member = (feature[:, None] == np.array(features)).astype(float)  # (D, F)
    shared = member.T @ (standard.T @ standard) ** 2 @ member
    size = np.sqrt(np.maximum(np.diag(shared), np.finfo(float).tiny))
    return shared / np.outer(size, size)
