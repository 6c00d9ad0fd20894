"""Rooms by subject, each of which can be removed (commandline/rooms.py)."""
