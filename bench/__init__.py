"""Side by side with the alternatives, on this machine: `python -m bench` runs every module here in turn."""
