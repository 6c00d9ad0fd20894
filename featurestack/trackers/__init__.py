"""TRACKER=: TensorBoard or Weights & Biases follows a run."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    extra="trackers", adds={"options": {"Execution": ".trackers:TrackerOptions"}}
)
