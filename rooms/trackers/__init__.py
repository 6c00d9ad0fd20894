"""TRACKER=: TensorBoard or Weights & Biases follows a run."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(extra="trackers")


@ROOM.options("Execution")
def load_options() -> Loaded:
    from featurestack.rooms.trackers.trackers import TrackerOptions

    return (TrackerOptions,)
