"""`make listen`: the classes of live audio."""

from featurestack.commandline.rooms import Command, Room

LISTEN = Command(
    "featurestack.rooms.live.listen:listen_live",
    "featurestack.rooms.live.options:ListenOptions",
    "Predict the classes of live audio.",
)
ROOM = Room(extra="live", commands={"listen": LISTEN})
