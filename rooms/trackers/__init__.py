"""TRACKER=: TensorBoard and Weights & Biases follow a run."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    capabilities={"trackers": "featurestack.rooms.trackers.trackers"},
    extra="trackers",
)
