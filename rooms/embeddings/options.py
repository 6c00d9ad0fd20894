"""The options of `make network`, which help reads without a runtime of networks."""

from pathlib import Path

from featurestack.commandline.options import Options, option


class NetworkOptions(Options):
    """The pretrained networks; with a name, one is fetched, or copied from a file."""

    example = "NETWORK=yamnet"

    network: str = option("", "name of a network; by default all are listed")
    file: Path | None = option(None, "its file, if it is on this machine")
