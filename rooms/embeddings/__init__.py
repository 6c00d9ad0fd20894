"""The features `embedding@model=NAME`, the answer of a pretrained network, and
`imagenet@of=NAME`, that of ResNet-18's first stages on another feature's map.
"""

from featurestack.commandline.rooms import Command, Loaded, Room

NETWORK = Command(
    "featurestack.rooms.embeddings.networks:network",
    "featurestack.rooms.embeddings.options:NetworkOptions",
    "List the pretrained networks, or fetch one to models/.",
)
ROOM = Room(extra="embeddings", commands={"network": NETWORK})


@ROOM.features("embedding", needs="model")
def load_features() -> Loaded:
    from featurestack.rooms.embeddings.embedding import FEATURE

    return (FEATURE,)


@ROOM.features("imagenet", needs="of")
def load_imagenet() -> Loaded:
    from featurestack.rooms.embeddings.imagenet import FEATURE

    return (FEATURE,)


@ROOM.capabilities("networks")
def load_networks() -> Loaded:
    from featurestack.rooms.embeddings import networks

    return (networks,)


@ROOM.list_remarks("networks")
def load_remarks() -> Loaded:
    from featurestack.rooms.embeddings.networks import network_remarks

    return (network_remarks,)
