"""What the notebooks of the course import: the names of their first cell, the checks of
answers, and a button that records.
"""

from featurestack.commandline.rooms import Room

ROOM = Room(extra="notebooks")
