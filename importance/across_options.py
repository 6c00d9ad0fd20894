"""The options of the page across datasets."""

from featurestack.commandline.options import Options, option

FEWEST_DATASETS = 3  # fewer are not compared


class AcrossOptions(Options):
    """What the page across datasets compares."""

    model: str = option(
        "",
        "model that is compared across datasets; by default that of most datasets",
    )
    base: str = option("mel", "feature set to which the gains across datasets refer")
