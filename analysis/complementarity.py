"""Which runs err on different clips: what to stack or to fuse next, before training it.

Conventions: two runs that tested the same N clips, seeds paired in order (the shorter list begins again);
every share is the mean over folds, seeds averaged.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.bootstrap import fold_weights
from analysis.ranking import Ranking
from analysis.results import Run
from train.scores import Floats, Ints


def complementarity(ranking: Ranking) -> pd.DataFrame:
    """Every pair: agreement, double fault, oracle, accuracy fused, and its gain over the better of the two.

    Sorted by the accuracy fused. That order is selected on test: it proposes, a new run decides.
    """
    rows = [{"a": a.name, "b": b.name, **overlap(a, b)} for a, b in combinations(ranking.runs, 2)]
    columns = ["a", "b", "agreement", "double_fault", "oracle", "fused", "gain"]
    return pd.DataFrame(rows, columns=columns).sort_values("fused", ascending=False, kind="stable")


def overlap(a: Run, b: Run) -> dict[str, float]:
    """How two runs go together: the shares of one pair.

    agreement: both predict the same class; double_fault: both are wrong; oracle: at least one is right;
    fused: the mean of their probabilities is right; gain: fused less the better one's accuracy.
    """
    weights = fold_weights(a.folds)
    seeds = range(max(len(a.seeds), len(b.seeds)))
    shares = [
        _shares(a.probabilities[seed % len(a.seeds)], b.probabilities[seed % len(b.seeds)], a.target, weights)
        for seed in seeds
    ]
    means = {name: float(np.mean([one[name] for one in shares])) for name in shares[0]}
    better = max(float(weights @ run.correct) for run in (a, b))
    return {**means, "gain": means["fused"] - better}


def _shares(a: Floats, b: Floats, target: Ints, weights: Floats) -> dict[str, float]:
    first, second = a.argmax(axis=1), b.argmax(axis=1)
    right_a, right_b = first == target, second == target
    shares = {
        "agreement": first == second,
        "double_fault": ~right_a & ~right_b,
        "oracle": right_a | right_b,
        "fused": (a + b).argmax(axis=1) == target,
    }
    return {name: float(weights @ share) for name, share in shares.items()}


def fused_matrix(ranking: Ranking, table: pd.DataFrame) -> Floats:
    """Accuracies (R, R) of each pair fused, runs in the ranking's order; of each alone on the diagonal."""
    place = {run.name: number for number, run in enumerate(ranking.runs)}
    square = np.diag(ranking.accuracy)
    a, b = table["a"].map(place), table["b"].map(place)
    square[a, b] = square[b, a] = table["fused"]
    return square
