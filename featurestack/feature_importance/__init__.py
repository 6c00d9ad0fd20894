"""`make importance` and `make curve`: their options."""

from featurestack.commandline.options import SEED, DatasetOptions, RunsOptions, option
from featurestack.scores.tasks import task_choices


class FitOptions(DatasetOptions, RunsOptions):
    """Feature sets, to which ridge is fitted."""

    features: str
    task: str = option(
        "auto",
        "labels to predict: classes, categories or tags; auto: by the labels",
        choices=task_choices,
    )


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

    features: str = option("mel", "feature sets separated by blanks")
    seed: int = option(0, "seed of the parts of the recordings", **SEED)
