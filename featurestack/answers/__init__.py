"""`make answer`: from a folder of sounds to the report; and `make demo`."""

from typing import Literal

from featurestack.base.options import (
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    option,
)
from featurestack.pipeline.options import ComputeOptions
from featurestack.results.training_options import TaskName

FOLDER = "answer"  # its run folder
# features that FEATURES=all includes here
TEXTURES = "texture@of=mel", "texture@of=mfcc", "texture@of=gammatone"
# a set's score with its interval, the folds that chose it, its difference from the
# highest score with its interval
DIFFERENCE = ("difference", "difference_low", "difference_high")
NUMBERS = ("estimate", "low", "high", "folds", *DIFFERENCE)
SET_COLUMNS = ("features", *NUMBERS, "verdict")  # verdict: of the report


class FitOptions(DatasetOptions, RunsOptions):
    """Feature sets, to which ridge is fitted."""

    features: str
    task: TaskName = option(
        "auto",
        "labels to predict: classes, categories or tags; auto: by the labels",
    )


class AnswerOptions(ComputeOptions, ReportsOptions):
    """Check a folder of sounds, extract and choose features, train them, report."""

    example = 'DATASET="my sounds"'

    dataset: str = option("", "a folder of sounds, a table, or a cache folder")
    network: Literal["auto", "none"] = option(
        "auto",
        "pretrained networks that FEATURES=all includes: auto, each in models/ and"
        " YAMNet, which is fetched once; none",
    )
    task: TaskName = option(
        "auto",
        "labels to predict: classes, categories or tags; auto: by the labels",
    )
