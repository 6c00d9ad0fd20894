"""Modules for the notebooks of the course: the names of their first cell, the checks
of answers, and a button that records.
"""

from featurestack.commandline.rooms import Room

ROOM = Room(extra="notebooks")
