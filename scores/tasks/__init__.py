"""The tasks: what is predicted for a clip. `registry` finds them by name."""
