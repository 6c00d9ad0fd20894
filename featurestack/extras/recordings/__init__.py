"""Annotated recordings: marks of sounds with a beginning and an end."""
