"""The command `answer` and its options."""

from featurestack.commandline.options import ReportsOptions, option
from featurestack.pipeline.options import SourceOptions
from featurestack.results.tasks.registry import task_choices


class AnswerOptions(SourceOptions, ReportsOptions):
    """From a folder of sounds to the report: check, features, runs, importance."""

    example = 'DATASET="my sounds"'

    dataset: str = option("", "a folder of sounds, a table, or a cache folder")
    features: str = option("all", "feature sets to extract and rank; all, small")
    task: str = option(
        "auto",
        "labels to predict: classes, categories or tags; auto: by the labels",
        choices=task_choices,
    )
    frame: float | None = option(
        None,
        "milliseconds of a frame, for all features whose names do not state n_fft or"
        " hop_length; by default librosa's 2048 samples",
        least=1,
        most=1000,
    )
    jobs: int | None = option(
        None, "processes for extraction; by default one per core", least=1, most=10000
    )
    retrain: bool = option(
        False, "train the runs of other clips or folds again in their place"
    )
