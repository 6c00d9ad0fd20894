"""COPIES=: altered copies of the clips, to train on."""

from featurestack.commandline.rooms import Room

ROOM = Room(capabilities={"copies": "featurestack.rooms.copies.alter"})
