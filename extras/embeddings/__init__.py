"""The feature `embedding@model=NAME`: the answer of a pretrained network."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"pipeline network": "featurestack.extras.embeddings.options:network"},
    features={"embedding": "featurestack.extras.embeddings.embedding:FEATURE"},
    capabilities={"networks": "featurestack.extras.embeddings.networks"},
    extra="embeddings",
)
