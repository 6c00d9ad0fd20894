"""`python -m train listen`: the classes of live audio."""

from collections.abc import Sequence
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(extra="live")


@ROOM.commands("train listen")
def load_commands() -> Sequence[Any]:
    from featurestack.rooms.live.options import listen

    return (listen,)


@ROOM.capabilities("listen")
def load_listening() -> Sequence[Any]:
    from featurestack.rooms.live import listen

    return (listen,)
