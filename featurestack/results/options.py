"""The options of the commands that list and remove runs."""

from featurestack.base.options import DatasetOptions, RunsOptions, option


class RemoveOptions(RunsOptions, DatasetOptions):
    """Delete runs, after printing the number and size of their files."""

    example = 'RUN="mel-cnn4 mfcc-cnn4"'

    run: str = option("", "name, path or unique prefix of a run; several remove each")
    old: bool = option(
        False, "runs whose clips, labels, folds or values have changed since"
    )
    dataset: str = option(
        "", "dataset of the runs that RUN chooses from; all by default"
    )
    yes: bool = option(False, "remove without asking")


class ListOptions(RunsOptions, DatasetOptions):
    """Runs with their scores, the newest last."""

    example = "DATASET=esc10"

    dataset: str = option("", "dataset of the runs; by default all")
