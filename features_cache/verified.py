"""verified.csv: size and time of each feature's file when all its clips were intact.

A run does not read an unchanged file to look for damage. Whoever finds damage removes
verified.csv.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from featurestack.features_cache.csv_rows import read_rows, write_rows
from featurestack.features_cache.feature_file import lock
from featurestack.features_cache.index import feature_names

VERIFIED = "verified.csv"
HEADER = ("feature", "size", "time_ns")


def _state(path: Path) -> list[str]:
    state = path.stat()
    return [path.stem, str(state.st_size), str(state.st_mtime_ns)]


def is_verified(path: Path) -> bool:
    """Whether a feature's file is unchanged since all its clips were known to be
    intact.
    """
    return _state(path) in read_rows(path.parent / VERIFIED, HEADER)


def note_verified(folder: Path, features: Sequence[str]) -> None:
    """Note size and time of these features' files, in which the caller knows all clips
    to be intact.
    """
    with lock(folder, "index"):
        known = read_rows(folder / VERIFIED, HEADER)
        rows = []
        for name in feature_names(folder):
            state = _state(folder / f"{name}.h5")
            if name in features or state in known:
                rows.append(state)
        if rows != known:
            write_rows(folder / VERIFIED, HEADER, rows)


def forget_verified(folder: Path) -> None:
    """Remove verified.csv after damage was found, so that the next run looks for
    more.
    """
    with suppress(OSError):
        (folder / VERIFIED).unlink(missing_ok=True)
