"""False claims and coverage of the statistics across datasets, by simulation.

    python -m bench.across

Each simulated dataset has a true gain, drawn around the mean with a spread, and 21
source recordings whose differences scatter around it. Gains and standard errors are
those that a report computes from the recordings.
"""

from itertools import product

import numpy as np

from featurestack.analysis.significance import LEVEL, sign_flip_tests, standard_error
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.rooms.across.random_effects import prediction_interval, random_effects
from featurestack.scores.metrics import Floats

RECORDINGS = 21
ERROR = 0.02  # standard error of a gain; unequal: times e^(z/2) with z standard normal
FAR = 0.10  # distance of one dataset's gain in five from the others'
FEATURE_SETS = 5  # tested together on these datasets
SIGNS = 1_000
# standard deviation of true gains in points, one dataset in five far off
SPREADS = ((0, False), (1, False), (3, False), (1, True))


class AcrossOptions(Options):
    """False claims and coverage of the statistics across datasets, by simulation."""

    simulations: int = option(400, "simulations of each row")
    datasets: tuple[int, ...] = option((3, 4, 5, 6, 8, 10, 15), "numbers of datasets")
    seed: int = option(0, "seed of the simulations")


def across(options: AcrossOptions) -> None:
    """False claims and coverage of the statistics across datasets, by simulation."""
    rng = np.random.default_rng(options.seed)
    rows = []
    for unequal, (spread, far), count in product(
        (False, True), SPREADS, options.datasets
    ):
        outcomes = np.array(
            [
                simulation(count, spread / 100, unequal, far, rng)
                for _ in range(options.simulations)
            ]
        )
        *shares, width = outcomes.mean(axis=0)
        rows.append(
            (
                "unequal" if unequal else "equal",
                f"{spread}, one in five far off" if far else spread,
                count,
                *(f"{100 * share:.0f}" for share in shares),
                f"{100 * width:.0f}",
            )
        )
    print(
        f"% of {options.simulations} simulations: a gain claimed on these datasets"
        " where there is none; the interval holds the mean over all datasets; the"
        " prediction interval holds a new gain, its half width in points\n"
    )
    headings = ("errors", "spread", "datasets", "claims", "mean", "new", "±")
    print(text_table(rows, headings))


def simulation(
    count: int, spread: float, unequal: bool, far: bool, rng: np.random.Generator
) -> tuple[float, ...]:
    """Whether a gain is claimed on these datasets if there is none; whether the
    interval holds the mean of all, and the prediction interval a new gain; its half
    width.
    """
    gains = true_gains((FEATURE_SETS, count), spread, far, rng)
    errors = ERROR * np.exp(rng.normal(size=count) / 2 * unequal)
    scatter = errors * np.sqrt(RECORDINGS)
    # (RECORDINGS, FEATURE_SETS, datasets), gains of single recordings
    measured = gains + scatter * rng.normal(size=(RECORDINGS, *gains.shape))

    # here the true mean over these very datasets is zero
    centred = measured - gains.mean(axis=1, keepdims=True)
    by_recording = np.moveaxis(centred, 1, 2).reshape(-1, FEATURE_SETS)
    shares = np.full(len(by_recording), 1 / len(by_recording))
    tests = sign_flip_tests(by_recording * shares[0], shares, LEVEL, draws=SIGNS)

    of_one = measured[:, 0] / RECORDINGS  # (RECORDINGS, datasets)
    share = np.full(RECORDINGS, 1 / RECORDINGS)
    measured_errors = standard_error(of_one, share)
    pooled = random_effects(of_one.sum(axis=0), measured_errors, rng)
    low, high = prediction_interval(of_one.sum(axis=0), measured_errors, rng)
    new = true_gains((1,), spread, far, rng)[0]
    return (
        float((tests.p < LEVEL).any()),
        float(pooled.low <= 0 <= pooled.high),
        float(low <= new <= high),
        (high - low) / 2,
    )


def true_gains(
    shape: tuple[int, ...], spread: float, far: bool, rng: np.random.Generator
) -> Floats:
    """True gains around 0; with `far` one in five is FAR above the others."""
    gains = spread * rng.normal(size=shape)
    if far:
        gains += FAR * ((rng.random(shape) < 1 / 5) - 1 / 5)
    return gains


if __name__ == "__main__":
    main([across])
