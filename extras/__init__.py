"""Rooms by subject: each folder adds something that few users need, and can be
removed (commandline/rooms.py).
"""
