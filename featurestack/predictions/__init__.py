"""Predictions of any program as runs of the project, and `fs.compare`."""
