"""The features `embedding@model=NAME`, the answer of a pretrained network, and
`imagenet@of=NAME`, that of ResNet-18's first stages on another feature's map.
"""

from featurestack.commandline.rooms import Command, Room

NETWORK = Command(
    ".networks:network",
    ".options:NetworkOptions",
    "List the pretrained networks, or fetch one to models/.",
)
ROOM = Room(
    extra="embeddings",
    commands={"network": NETWORK},
    adds={
        "features": {
            "embedding": ".embedding:FEATURE",
            "imagenet": ".imagenet:FEATURE",
        },
        "capabilities": {"networks": ".networks"},
        "list_remarks": {"networks": ".networks:network_remarks"},
    },
    needs={"embedding": "model", "imagenet": "of"},
)
