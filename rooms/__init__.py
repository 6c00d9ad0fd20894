"""Rooms by subject: each folder adds something that few users need, and can be
removed (commandline/rooms.py).
"""

from featurestack.commandline.packages import enter

enter(__name__)
