"""The CSV files of a cache: rows of text below a fixed header.

A cache works without these files. Each is replaced whole, by rename, under the lock of
the index, so that a reader sees the old file or the new one.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from featurestack.storage.files import replaced


def read_rows(file: Path, header: Sequence[str]) -> list[list[str]]:
    """The rows of a CSV file; none if it is missing or has another form."""
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            names, *rows = csv.reader(opened)
    except (OSError, ValueError, csv.Error):
        return []
    if names != [*header] or any(len(row) != len(names) for row in rows):
        return []
    return rows


def write_rows(
    file: Path,
    header: Sequence[str],
    rows: Iterable[Iterable[object]],
) -> None:
    """Replace a CSV file; the caller holds the cache's lock of the index."""
    with (
        replaced(file) as draft,
        draft.open("w", newline="", encoding="utf-8") as opened,
    ):
        csv.writer(opened, lineterminator="\n").writerows([header, *rows])
