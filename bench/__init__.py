"""Side by side with the alternatives, on this machine. `python -m bench.<name>`, or all by `python -m bench`."""
