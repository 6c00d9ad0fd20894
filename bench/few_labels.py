"""Accuracy with few labelled clips of each class, by ridge:

    make features DATASET=../esc50_16k FEATURES=embedding@model=yamnet
    python -m bench.few_labels DATASET=../esc50_16k FEATURES=embedding@model=yamnet

The folds are the dataset's. Of each fold's training clips some of each class are drawn,
ten times, and the model answers all clips of the tested fold. The last row has all
training clips. docs/tables/few_labels.csv keeps the rows.
"""

import numpy as np
import pandas as pd

from bench.record import bench, record, spent
from featurestack.base.options import option
from featurestack.base.terminal import progress
from featurestack.comparison.significance import accuracy_interval
from featurestack.train.fits import Fits, Part, read_features
from featurestack.train.options import FitOptions

# clips of a class; 0 for all
COUNTS = {"one": 1, "two": 2, "five": 5, "ten": 10, "all": 0}
DRAWS = 10


class FewLabelsOptions(FitOptions):
    """Accuracy by the number of labelled clips of a class."""

    features: str = option("embedding@model=yamnet", "one feature set")


def few_labels(options: FewLabelsOptions) -> None:
    """Measure every row, and keep the table."""
    _, fits = read_features(options, least=1)
    rows = {}
    for row, count in progress(COUNTS.items(), label="few labels", unit="counts"):
        draws = range(DRAWS if count else 1)
        right = [correct(fits, options.features, count, draw) for draw in draws]
        rows[row] = summary(fits, pd.concat(right, axis=1))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("clips")
    print(table.round(2))
    command = f"python -m bench.few_labels FEATURES={options.features}"
    record("few_labels", table.reset_index(), command, spent())


def correct(fits: Fits, features: str, count: int, draw: int) -> "pd.Series[float]":
    """By each clip's position whether it is answered right, after `count` clips of each
    class, 0 for all.
    """
    parts = []
    for fold in sorted(fits.splits):
        train, test = fits.trained(fold), fits.tested(fold)
        labels = fits.plan.targets
        if count:
            rng = np.random.default_rng([draw, fold])
            mixed = pd.Series(rng.permutation(train))
            train = mixed.groupby(labels[mixed]).head(count).to_numpy()
        answers = fits.fitted(features, Part(train, test))
        parts.append(pd.Series(answers.argmax(axis=1) == labels[test], test))
    return pd.concat(parts).astype(float)


def summary(fits: Fits, right: pd.DataFrame) -> dict[str, float]:
    """Accuracy in percent over all clips and draws, with its interval by recording."""
    table = fits.plan.cache.clips.iloc[right.index]
    of_clips = right.mean(axis=1).to_numpy()[:, None]
    groups = table["group"].to_numpy()
    ((low, high),) = accuracy_interval(of_clips, groups, np.ones(len(table)))
    of_draws = right.groupby(table["fold"].to_numpy()).mean().to_numpy()
    return {
        "layers": 100 * float(of_clips.mean()),
        "layers_sd": 100 * float(of_draws.mean(axis=1).std(ddof=1)),
        "layers_low": 100 * float(low),
        "layers_high": 100 * float(high),
    }


if __name__ == "__main__":
    bench(few_labels)
