"""`make listen`: the classes of live audio."""

from featurestack.commandline.rooms import Command, Room

LISTEN = Command(
    ".listen:listen_live",
    ".options:ListenOptions",
    "Predict the classes of live audio.",
)
ROOM = Room(extra="live", commands={"listen": LISTEN})
