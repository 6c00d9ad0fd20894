"""`make importance` and `make curve`: their options."""

from featurestack.base.options import SEED_BOUNDS, option
from featurestack.train.options import FitOptions


class ImportanceOptions(FitOptions):
    """The worth of each feature, by itself and with the others, from fits of ridge with
    and without it.
    """

    example = 'FEATURES="mel mfcc chroma contrast"'

    features: str = option(
        "mel mfcc chroma", "features, or sets joined by + that count as one; all, small"
    )


class CurveOptions(FitOptions):
    """The score of feature sets against the number of training recordings."""

    example = 'DATASET=birds.csv FEATURES="mel mel+embedding@model=yamnet"'

    features: str = option("mel", "feature sets separated by spaces")
    seed: int = option(0, "seed that draws the parts of the recordings", **SEED_BOUNDS)
