"""`make whales` and its options, and an option of `make analysis`."""

from featurestack.analysis.options import AnalysisAddition
from featurestack.commandline.options import Options, option


class WhalesOptions(Options):
    """The depth of whales."""

    depth: int = option(10, "metres")
    loud: bool = option(False, "say it loud")


class OceanOptions(AnalysisAddition):
    """The ocean of a report."""

    ocean: str = option("Arctic", "name of the ocean")


def whales(options: WhalesOptions) -> None:
    """Count whales."""
    print("WHALES" if options.loud else "whales", "at", options.depth)
