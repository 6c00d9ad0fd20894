"""Modules for the notebooks of the course: the names of their first cell, and the
checks of answers.
"""

from featurestack.commandline.rooms import Room

ROOM = Room(extra="notebooks")
