"""Events: sounds with a beginning and an end in recordings, found by the frame."""

from featurestack.commandline.rooms import Room

ROOM = Room()
