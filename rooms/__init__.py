"""Rooms by subject, each of which can be removed (commandline/rooms.py)."""

from featurestack.commandline.packages import enter

enter(__name__)
