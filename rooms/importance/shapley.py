"""Shapley values of features, interactions of pairs, and similarity of their
statistics. No torch.

A feature set has a value v for each clip: the logarithm of the true class's
probability, in nats, or 1 for a correct prediction and 0 for another. With tags it is
the sum of the log probabilities over the classes, or the clip's part of mAP
(folder.py). The value of the empty set comes from the class
frequencies among the training clips. Conventions: N clips, F features.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featurestack.results.scores import Floats

EXACT = 8  # up to this number of features, every subset is fitted
PAIRS = 20  # of an order and its reverse, for more features

Values = Mapping[frozenset[str], Floats]  # feature set -> (N,) values of the clips
NONE: frozenset[str] = frozenset()


def permutations(
    features: Sequence[str],
    number: int,
    seed: int,
) -> list[list[str]]:
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
    values: Values,
    features: Sequence[str],
    orders: Sequence[Sequence[str]],
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


def interactions(values: Values, features: Sequence[str]) -> Floats:
    """(F, F) mean over clips of v(ij) - v(i) - v(j) + v(none); negative values mean
    redundancy.

    NaN if the pair has not been fitted.
    """
    count = len(features)
    table = np.full((count, count), np.nan)
    for i, j in itertools.permutations(range(count), 2):
        one = frozenset({features[i]})
        other = frozenset({features[j]})
        pair = one | other
        if pair in values:
            single = values[one] + values[other]
            interaction = values[pair] - single + values[NONE]
            table[i, j] = interaction.mean()
    return table


def linear_cka(
    x: NDArray[np.floating],
    feature: NDArray[np.str_],
    features: Sequence[str],
) -> Floats:
    """(F, F) linear centred kernel alignment of features (Kornblith et al. 2019).

    1 if two features have the same statistics up to rotation and scale.

    x        (N, D) statistics; each column is standardised here
    feature  (D,) the feature's name of each column
    """
    spread = x.std(axis=0, dtype=float)
    centred = x - x.mean(axis=0, dtype=float)
    standard = centred / np.where(spread > 0, spread, 1)
    member = feature[:, None] == np.array(features)  # (D, F)
    member = member.astype(float)
    covariance = standard.T @ standard
    shared = member.T @ covariance**2 @ member
    tiny = np.finfo(float).tiny
    size = np.sqrt(np.maximum(np.diag(shared), tiny))
    return shared / np.outer(size, size)
