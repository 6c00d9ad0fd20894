"""The synthetic dataset (generator follows)."""

from pathlib import Path

CATEGORIES: dict[str, str] = {}


def make(folder: Path) -> Path:
    """The synthetic dataset in ESC-50's layout."""
    raise NotImplementedError
