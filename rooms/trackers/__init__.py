"""TRACKER=: TensorBoard, Weights & Biases and MLflow follow a run."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(extra="trackers")


@ROOM.capabilities("trackers")
def load_trackers() -> Sequence[Any]:
    from featurestack.rooms.trackers import trackers

    return (trackers,)
