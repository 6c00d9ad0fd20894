"""For the notebooks of the course: names of their first cell, checks of answers."""

from featurestack.commandline.rooms import Room

ROOM = Room(extra="notebooks")
