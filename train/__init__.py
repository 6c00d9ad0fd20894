"""Training: from the feature cache to run folders."""


class Failed(Exception):
    """The work ran and something in it failed: exit status 1 with this sentence."""
