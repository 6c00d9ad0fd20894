"""Shapley values of features. No torch.

A feature set has a value v for each clip: the logarithm of the true class's
probability, in nats, or 1 for a correct prediction and 0 for another. With tags it is
the sum of the log probabilities over the classes, or the clip's part of mAP
(folder.py). The value of the empty set comes from the class
frequencies among the training clips. Conventions: N clips, F features.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from featurestack.results.scores import Floats

EXACT = 8  # up to this number of features, every subset is fitted
PAIRS = 20  # pairs of an order and its reverse, for more features

Values = Mapping[frozenset[str], Floats]  # feature set -> (N,) values of the clips
NONE: frozenset[str] = frozenset()


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
