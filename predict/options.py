"""The options of `make verify`."""

from featurestack.commandline.options import DatasetOptions, option
from featurestack.train.options import ComputingOptions


class VerifyOptions(ComputingOptions, DatasetOptions):
    """A cache to check for damage; or a run to predict its test clips again from its
    weights and the cache. Exit status 1 if anything differs.
    """

    example = "RUN=runs/esc10/mel-linear DATASET=/srv/data/esc10/features"

    run: str = option(
        "", "a run's name, path or unique prefix, or last; by default the cache alone"
    )
    dataset: str = option(
        "",
        "dataset whose cache is verified, esc50 by default; with RUN, the cache folder"
        " if it is not the one of the run's dataset in DATA",
    )
    features: str = option(
        "all", "feature sets separated by blanks; all: those in the cache"
    )
