"""Side by side with the alternatives, on this machine: `python -m bench.<name>`, or `python -m bench` for all."""
