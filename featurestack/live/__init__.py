"""`make listen`: the classes of live audio."""

from featurestack.commandline.rooms import Command, Room

MEANING = "Predict the classes of live audio."
LISTEN = Command(".listen:listen_live", ".options:ListenOptions", MEANING)
ROOM = Room(extra="live", commands={"listen": LISTEN})
