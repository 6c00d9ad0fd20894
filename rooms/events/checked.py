"""What checked detections say about all of them: `predict CHECKED=table`.

Whether a detection is right depends on its score: a logistic regression on the
log-odds of the score, fitted to the detections that somebody has listened to. Its
probabilities, summed over all detections, give the precision above any threshold and
the number of right detections.

What would flatter these numbers: detections that a user chose to check, so the page
draws them, evenly over the scores; scores of the same recording, which are right or
wrong together, so the interval for other recordings takes recordings as the unit; and a
threshold that was chosen by its estimate, so it is chosen by the lower end of the
interval. A separated sample would have infinite coefficients and no interval, so the
likelihood has Jeffreys' prior (Firth 1993), which also takes the bias of few checks
away.

Conventions: n checked detections, N all detections; score (n,) in 0 to 1.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from featurestack.results.scores import Floats

LEAST, MOST = 1e-4, 1 - 1e-4  # scores beyond have no finite log-odds in float16
STEPS = 100  # of Newton's method, at most
STRATA = 5
LEVEL = 0.95  # of intervals


class Fit(NamedTuple):
    """Log-odds of a right detection: coefficients of 1 and the score's log-odds."""

    coefficients: Floats  # (2,)
    here: Floats  # (2, 2) covariance, for the detections that were drawn from
    elsewhere: Floats  # (2, 2) covariance for other recordings
    checked: int
    recordings: int


def design(score: NDArray[np.floating]) -> Floats:
    """(n, 2) ones, and the log-odds of the scores."""
    odds = logit(np.clip(np.asarray(score, float), LEAST, MOST))
    return np.column_stack([np.ones(len(odds)), odds])


def fit_precision(
    score: Floats,
    right: NDArray[np.bool_],
    recording: NDArray[np.generic],
) -> Fit:
    """Fit checked detections (n,).

    >>> score = np.linspace(0.1, 0.9, 9)
    >>> bool(fit_precision(score, score > 0.45, np.arange(9) % 3).coefficients[1] > 0)
    True
    """
    x = design(score)
    coefficients = np.zeros(2)
    for _ in range(STEPS):
        p = expit(x @ coefficients)
        weight = p * (1 - p)
        information = x.T @ (weight[:, None] * x)
        inverse = np.linalg.pinv(information)
        leverage = weight * np.einsum("ni,ij,nj->n", x, inverse, x)
        gradient = x.T @ (right - p + leverage * (0.5 - p))
        step = inverse @ gradient
        coefficients = coefficients + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-8:
            break
    residuals = x * (right - p)[:, None]
    _, group = np.unique(recording, return_inverse=True)
    groups = group.max() + 1
    sums = np.zeros((groups, 2))
    np.add.at(sums, group, residuals)
    middle = sums.T @ sums * groups / max(1, groups - 1)
    clustered = inverse @ middle @ inverse
    return Fit(coefficients, inverse, clustered, len(x), groups)


def precision_above(
    fit: Fit,
    scores: Floats,
    thresholds: Floats,
) -> pd.DataFrame:
    """A row for each threshold: the number of detections above it, the part of them
    that is right with its interval for these detections (low, high) and for other
    recordings (elsewhere_low, elsewhere_high).

    scores  (N,) of all detections
    """
    rows = []
    for threshold in thresholds:
        above = scores[scores > threshold]
        if not len(above):
            continue
        x = design(above)
        p = expit(x @ fit.coefficients)
        mean = p.mean()
        gradient = (p * (1 - p)) @ x / len(x)
        unseen = (p * (1 - p)).sum() / len(x) ** 2  # the detections themselves
        row = {"threshold": threshold, "detections": len(above), "precision": mean}
        # recordings vary no less than independent checks
        of_checks = gradient @ fit.here @ gradient
        of_recordings = max(of_checks, gradient @ fit.elsewhere @ gradient)
        unchecked = max(0.0, 1 - fit.checked / len(scores))
        for name, variance, freedom in (
            ("", unchecked * of_checks + unseen, fit.checked - 2),
            ("elsewhere_", of_recordings + unseen, fit.recordings - 1),
        ):
            deviation = np.sqrt(variance) / (mean * (1 - mean))
            reach = student.ppf((1 + LEVEL) / 2, max(1, freedom)) * deviation
            row[f"{name}low"] = expit(logit(mean) - reach)
            row[f"{name}high"] = expit(logit(mean) + reach)
        rows.append(row)
    return pd.DataFrame(rows)


def draw(scores: Floats, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The places of `count` of these scores (N,), as many from each of STRATA bands of
    equal width in log-odds as there are.
    """
    odds = design(scores)[:, 1]
    edges = np.linspace(odds.min(), odds.max(), STRATA + 1)
    band = np.searchsorted(edges[1:-1], odds)
    order = rng.permutation(len(scores))
    turn = np.zeros(len(scores), int)  # place in the own band
    for number in range(STRATA):
        own = order[band[order] == number]
        turn[own] = np.arange(len(own))
    by_turn = np.lexsort((rng.random(len(scores)), turn))
    return by_turn[:count]
