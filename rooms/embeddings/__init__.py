"""The feature `embedding@model=NAME`: the answer of a pretrained network."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"pipeline network": "featurestack.rooms.embeddings.options:network"},
    features={"embedding": "featurestack.rooms.embeddings.embedding:FEATURE"},
    capabilities={"networks": "featurestack.rooms.embeddings.networks"},
    extra="embeddings",
)
