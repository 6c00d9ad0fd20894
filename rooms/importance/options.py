"""The options of `make importance` and `make curve`."""

from pathlib import Path

from featurestack.commandline.options import SEED, DatasetOptions, RunsOptions, option
from featurestack.scores.tasks.registry import task_choices


class FitOptions(DatasetOptions, RunsOptions):
    """Feature sets, and the small model that is fitted to them."""

    features: str
    model: str = option(
        "linear", "linear or texturenet, perhaps with its own options: linear@C=1"
    )
    task: str = option(
        "auto",
        "labels to predict: classes, categories or tags; auto: by the labels",
        choices=task_choices,
    )
    epochs: int = option(40, "epochs of MODEL=texturenet", least=1)
    seed: int = option(
        0,
        "seed of permutations (importance) or parts (curve), and of texturenet",
        **SEED,
    )


class ImportanceOptions(FitOptions):
    """The worth of each feature, alone and beside the others, from a small model fitted
    to subsets of them.
    """

    example = 'FEATURES="mel mfcc chroma contrast"'

    features: str = option(
        "mel mfcc chroma", "features, or sets joined by + that count as one; all, small"
    )
    wait: bool = option(
        False,
        "wait for another process that fills the same folder instead of being refused",
    )


class CurveOptions(FitOptions):
    """The score of feature sets against the number of training recordings."""

    example = 'DATASET=birds.csv FEATURES="mel mel+embedding@model=yamnet"'

    features: str = option("mel", "feature sets separated by blanks")
    out: Path | None = option(None, "CSV file of the curves; a figure is put beside it")
