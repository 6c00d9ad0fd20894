"""The options of the page across datasets."""

from featurestack.commandline.options import Options, option

FEWEST_DATASETS = 3  # fewer are not compared


class AcrossOptions(Options):
    """The choices of the page across datasets."""

    model: str = option(
        "", "model that is compared across datasets; by default that of most datasets"
    )
    base: str = option("mel", "feature set to which the gains across datasets refer")
