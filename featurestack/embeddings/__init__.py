"""The features `embedding@model=NAME`, the answer of a pretrained network, and
`imagenet@of=NAME`, that of ResNet-18's first stages on another feature's map.
"""

from featurestack.commandline.options import Options, option


class NetworkOptions(Options):
    """The pretrained networks; with a name, one is fetched to models/."""

    example = "NETWORK=yamnet"

    network: str = option("", "name of a network; by default all are listed")
