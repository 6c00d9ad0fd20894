"""How sure ridge is of sounds of none of its classes, against real refits:

    make features DATASET=../esc50_16k FEATURES=embedding@model=yamnet
    python -m bench.foreign DATASET=../esc50_16k FEATURES=embedding@model=yamnet

Of each fold, `predicted` is the share of training clips that get 90 % or more for
another class from the model without their class, by blocks of one inverse: the number
of reports. `refitted` is that of the tested clips, for which the model was trained anew
without each class. docs/tables/foreign.csv keeps the rows.
"""

import numpy as np
import pandas as pd
from scipy.special import softmax

from bench.record import bench, record, spent
from featurestack import ridge
from featurestack.base.options import option
from featurestack.base.terminal import progress
from featurestack.comparison.significance import accuracy_interval
from featurestack.train.fits import Fits, Part, read_features
from featurestack.train.options import FitOptions
from featurestack.train.plan import Positions


class ForeignOptions(FitOptions):
    """Clips of a class that the model was not trained on."""

    features: str = option("embedding@model=yamnet", "one feature set")
    tested: str = option("", "folds whose clips are tested; by default all")


def foreign(options: ForeignOptions) -> None:
    """Measure the row of a dataset, and keep the table."""
    _, fits = read_features(options, least=1)
    predicted, tables = [], []
    for fold in map(int, options.tested.split()) if options.tested else fits.splits:
        part = Part(fits.trained(fold), fits.tested(fold))
        counts = fitted(fits, options.features, part.train, foreign=True).foreign
        predicted.append(100 * ridge.share_of_sure(counts))
        sure = pd.concat(refitted(fits, options.features, part))
        tables.append(sure)
        print(f"fold {fold}: {predicted[-1]:.1f}, {100 * sure.mean():.1f}", flush=True)
    sure = pd.concat(tables)
    groups = fits.plan.cache.clips["group"].to_numpy()[sure.index]
    of_clips = sure.to_numpy()[:, None]
    ((low, high),) = accuracy_interval(of_clips, groups, np.ones(len(sure)))
    row = {
        "dataset": fits.plan.config.dataset,
        "features": options.features,
        "folds": len(tables),
        "predicted": float(np.mean(predicted)),
        "refitted": 100 * float(sure.mean()),
        "refitted_low": 100 * float(low),
        "refitted_high": 100 * float(high),
        "of_folds": "; ".join(
            f"{own:.1f} and {100 * table.mean():.1f}"
            for own, table in zip(predicted, tables)
        ),
    }
    words = f"DATASET={options.dataset} FEATURES={options.features}"
    if options.tested:
        words += f" TESTED='{options.tested}'"
    record("foreign", pd.DataFrame([row]), f"python -m bench.foreign {words}", spent())


def fitted(
    fits: Fits, features: str, train: Positions, *, foreign: bool
) -> ridge.RidgeModel:
    """The model of these clips, with the numbers of the report if `foreign`."""
    plan = fits.plan
    names = features.split("+")
    blocks = [width for name in names for width in fits.blocks[name]]
    groups = plan.cache.clips["group"].to_numpy()[train]
    x, targets = fits.x(features, train), plan.targets[train]
    classes = len(plan.names)
    return ridge.fit(
        x, targets, classes, blocks, groups, overwrite=True, foreign=foreign
    )


def refitted(fits: Fits, features: str, part: Part) -> "list[pd.Series[float]]":
    """By the position of each tested clip whether the model without its class is sure
    of another one.
    """
    targets = fits.plan.targets
    found = []
    for label in progress(np.unique(targets[part.tested]), label="refits", unit="fits"):
        train = part.train[targets[part.train] != label]
        own = part.tested[targets[part.tested] == label]
        model = fitted(fits, features, train, foreign=False)
        probabilities = softmax(model.logits(fits.x(features, own)), axis=1)
        sure = probabilities.max(axis=1) >= ridge.SURE
        found.append(pd.Series(sure, own).astype(float))
    return found


if __name__ == "__main__":
    bench(foreign)
