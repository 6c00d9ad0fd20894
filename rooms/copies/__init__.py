"""COPIES=: altered copies of the clips, to train on."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room()


@ROOM.options("ExtractOptions")
def load_options() -> Loaded:
    from featurestack.rooms.copies.options import CopyOptions

    return (CopyOptions,)


@ROOM.functions("alter")
def load_functions() -> Loaded:
    from featurestack.rooms.copies.alter import alter

    return (alter,)


@ROOM.capabilities("copies")
def load_copies() -> Loaded:
    from featurestack.rooms.copies import alter

    return (alter,)
