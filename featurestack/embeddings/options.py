"""The options of `make network`, which help reads without a runtime of networks."""

from featurestack.commandline.options import Options, option


class NetworkOptions(Options):
    """The pretrained networks; with a name, one is fetched to models/."""

    example = "NETWORK=yamnet"

    network: str = option("", "name of a network; by default all are listed")
