"""`python -m train listen`: the classes of live audio."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(extra="live")


@ROOM.commands("train listen")
def load_commands() -> Loaded:
    from featurestack.rooms.live.options import listen

    return (listen,)


@ROOM.capabilities("listen")
def load_listening() -> Loaded:
    from featurestack.rooms.live import listen

    return (listen,)
