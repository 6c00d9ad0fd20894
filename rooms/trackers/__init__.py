"""TRACKER=: TensorBoard, Weights & Biases and MLflow follow a run."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(extra="trackers")


@ROOM.options("Execution")
def load_options() -> Sequence[Any]:
    from featurestack.rooms.trackers.options import TrackerOptions

    return (TrackerOptions,)
