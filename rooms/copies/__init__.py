"""COPIES=: altered copies of the clips, to train on."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room()


@ROOM.options("ExtractOptions")
def load_options() -> Sequence[Any]:
    from featurestack.rooms.copies.options import CopyOptions

    return (CopyOptions,)


@ROOM.functions("alter")
def load_functions() -> Sequence[Any]:
    from featurestack.rooms.copies.alter import alter

    return (alter,)


@ROOM.capabilities("copies")
def load_copies() -> Sequence[Any]:
    from featurestack.rooms.copies import alter

    return (alter,)
