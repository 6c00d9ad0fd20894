"""The mean of an effect that was measured on several datasets, and what a new dataset
would have.

A random-effects model: the true gain of dataset i is drawn around a mean with the
standard deviation tau, the measured gain y_i around the true one with its standard
error s_i. tau is estimated as Paule and Mandel (1982) do, the interval of the mean as
Hartung and Knapp (2001), its scale not below 1. A prediction interval, where the gain
of a new dataset lies, is simulated, because the usual one (mean ± t with k - 2
degrees) holds a new gain in only 85 to 91 of 100 simulations of up to 15 datasets
where tau is no larger than a standard error.

Conventions: k datasets; gains and errors (k,) in one unit, errors above zero.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from featurestack.scores.metrics import Floats

LEVEL = 0.05
DRAWS = 2_000  # simulated gains of a new dataset
FEWEST_TO_PREDICT = 5  # with fewer datasets the prediction interval says nothing
FEWEST_TO_POOL = 2
BISECTIONS = 60  # halve the range of a variance to the precision of a float


@dataclass(frozen=True)
class RandomEffects:
    """The mean gain over datasets with its 95 % interval and p; `tau`, the standard
    deviation of true gains; the 95 % prediction interval of a new dataset's gain, NaN
    with fewer than FEWEST_TO_PREDICT.
    """

    datasets: int
    mean: float
    low: float
    high: float
    p: float
    tau: float
    new_low: float
    new_high: float


def random_effects(
    gains: Floats, errors: Floats, rng: np.random.Generator
) -> RandomEffects:
    """The random-effects model of these gains; `rng` draws the prediction interval.

    Mean, interval and p are NaN with fewer than FEWEST_TO_POOL datasets.
    """
    count = len(gains)
    if count < FEWEST_TO_POOL:
        return RandomEffects(count, *[np.nan] * 7)
    degrees = count - 1.0
    # Q is k - 1 on average at the true variance (Paule and Mandel)
    variance = variances_between(gains, errors, np.array([degrees]))
    (mean,), (weight,), (q,) = weighted_means(gains, errors, variance)
    # standard error after Hartung and Knapp
    error = np.sqrt(max(1.0, q / degrees) / weight)
    reach = stdtrit(degrees, 1 - LEVEL / 2) * error
    p = 2 * stdtr(degrees, -abs(mean) / error)
    new_low = new_high = np.nan
    if count >= FEWEST_TO_PREDICT:
        new_low, new_high = prediction_interval(gains, errors, rng)
    return RandomEffects(
        datasets=count,
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        p=float(p),
        tau=float(np.sqrt(variance[0])),
        new_low=new_low,
        new_high=new_high,
    )


def weighted_means(
    gains: Floats, errors: Floats, variances: Floats
) -> tuple[Floats, Floats, Floats]:
    """(B,) the weighted means, the sums of their weights, and Q, the weighted sums of
    squared distances from the means, at variances of true gains (B,).
    """
    weights = 1 / (errors**2 + variances[:, None])  # (B, k)
    total = weights.sum(axis=1)
    means = weights @ gains / total
    distances = gains - means[:, None]
    return means, total, (weights * distances**2).sum(axis=1)


def variances_between(gains: Floats, errors: Floats, wanted: Floats) -> Floats:
    """(B,) the variances of true gains at which Q is `wanted` (B,)."""
    low = np.zeros(len(wanted))
    # Q is at most the sum of squares over the variance.
    squares = (gains - gains.mean()) ** 2
    high = squares.sum() / wanted
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        *_, q = weighted_means(gains, errors, middle)
        low = np.where(q > wanted, middle, low)
        high = np.where(q > wanted, high, middle)
    *_, largest_q = weighted_means(gains, errors, np.zeros(1))
    return np.where(largest_q <= wanted, 0.0, high)


def prediction_interval(
    gains: Floats, errors: Floats, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """The 95 % interval of a new dataset's true gain, from `draws` simulated ones.

    Each draw takes Q from chi-squared with k - 1 degrees, the variance between data
    sets that has this Q, a mean from Student's t around the weighted mean, and a gain
    around it.
    """
    degrees = len(gains) - 1
    drawn_q = rng.chisquare(degrees, draws)
    variances = variances_between(gains, errors, drawn_q)
    means, total, _ = weighted_means(gains, errors, variances)
    means += rng.standard_t(degrees, draws) / np.sqrt(total)
    tau = np.sqrt(variances)
    new_gains = means + tau * rng.standard_normal(draws)
    low, high = np.quantile(new_gains, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
