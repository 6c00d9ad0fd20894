"""`python -m pipeline network` and its options."""

from dataclasses import MISSING
from pathlib import Path

from featurestack.commandline.options import Options, option
from featurestack.rooms.embeddings.networks import fetch_network


class NetworkOptions(Options):
    """Bring a published network to models/: from its address, or from a file."""

    example = "yamnet"

    network: str = option(MISSING, "name of the network", positional=True)
    url: str = option("", "another address of its file")
    file: Path | None = option(None, "its file, if it is on this machine")


def network(options: NetworkOptions) -> None:
    """Fetch a published network, or copy its file, if its checksum is known."""
    print(fetch_network(options.network, url=options.url, file=options.file))
