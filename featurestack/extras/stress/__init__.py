"""`make stress`: its options."""

from featurestack.base.options import option
from featurestack.predict.options import ComputingOptions


class StressOptions(ComputingOptions):
    """What breaks a run: its test clips after changes of their audio."""

    example = "RUN=last"

    dataset: str = option(
        "",
        "dataset of the run, or its cache folder if it is not the one in DATA; by"
        " default the run's dataset",
    )
