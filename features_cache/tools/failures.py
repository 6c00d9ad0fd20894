"""failures.csv: clips that could not be done, and why. They keep their rows, with state 0."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache.locks import lock
from features_cache.storage import replaced

FAILURES = "failures.csv"
HEADER = ("clip_id", "path", "feature", "reason")


def read_failures(folder: Path) -> list[dict[str, str]]:
    """One dictionary a failure, keys HEADER; the feature is 'all' where the clip itself is at fault.

    None where there is no such file, or one that holds something else.
    """
    try:
        with (folder / FAILURES).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return list(rows) if tuple(rows.fieldnames or ()) == HEADER else []
    except (OSError, ValueError, csv.Error):
        return []


def write_failures(
    folder: Path, clips: pd.DataFrame, tried: NDArray, failures: Sequence[tuple[int, str, str]]
) -> None:
    """Replace what is told of the clips that were tried by (row, feature, reason); the others' stays."""
    ids, paths = clips["clip_id"].to_numpy(), clips["path"].to_numpy()
    again = np.zeros(len(clips), bool)
    again[tried] = True
    with lock(folder, "index"):
        before = read_failures(folder)
        named = {one["clip_id"] for one in before}  # few, where the clips may be millions
        stands = {clip for clip, over in zip(ids, again) if clip in named and not over}
        kept = [one for one in before if one["clip_id"] in stands]
        new = [
            dict(zip(HEADER, (ids[row], paths[row], feature, reason))) for row, feature, reason in failures
        ]
        with replaced(folder / FAILURES) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADER, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept + new)
