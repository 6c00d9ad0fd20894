"""The features `embedding@model=NAME`, the answer of a pretrained network, and
`imagenet@of=NAME`, the answer of ResNet-18's first stages to another feature's map.
"""

from featurestack.base.options import Options, option


class NetworkOptions(Options):
    """The pretrained networks; with a name, one is fetched to models/."""

    example = "NETWORK=yamnet"

    network: str = option("", "name of a network; by default all are listed")
