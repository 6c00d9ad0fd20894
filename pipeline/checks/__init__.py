"""Faults of a dataset, a module for what is looked for: `python -m pipeline check`."""
