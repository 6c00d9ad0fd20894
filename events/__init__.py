"""Events: sounds with a beginning and an end in recordings, found by the frame."""

from featurestack.commandline.rooms import Room
from featurestack.packages import enter

enter(__name__)

ROOM = Room()
