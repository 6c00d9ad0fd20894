"""`make answer`: from a folder of sounds to the report; and `make demo`."""

from typing import Literal

from featurestack.base.options import ReportsOptions, option
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


class AnswerOptions(ComputeOptions, ReportsOptions):
    """Check a folder of sounds, choose features, train, and write a report."""

    example = 'DATASET="my sounds"'

    dataset: str = option("", "a folder of sounds, a table, or a cache folder")
    network: Literal["auto", "none"] = option(
        "auto",
        "pretrained networks in FEATURES=all: auto, which is YAMNet (downloaded once)"
        " and each one in models/, or none",
    )
    task: TaskName = option(
        "auto",
        "labels to predict: classes, categories or tags; auto decides by the labels",
    )
