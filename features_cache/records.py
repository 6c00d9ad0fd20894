"""What an extraction notes beside the features: failures.csv and costs.csv.

failures.csv   clips that could not be done, and why; they keep their rows, with state 0
costs.csv      seconds of one core a clip that a feature took when it was last computed; what several features
               share counts for the one that asked first. A cache without the file is as good as any other.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features_cache.cache import Cache
from features_cache.storage import lock, replaced

FAILURES = "failures.csv"
FAILURES_HEADER = ("clip_id", "path", "feature", "reason")
COSTS = "costs.csv"
COSTS_HEADER = ("feature", "seconds_a_clip")


def read_failures(folder: Path) -> list[dict[str, str]]:
    """One dictionary a failure, keys FAILURES_HEADER; the feature is 'all' where the clip itself is at fault.

    None where there is no such file, or one that holds something else.
    """
    try:
        with (folder / FAILURES).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return list(rows) if tuple(rows.fieldnames or ()) == FAILURES_HEADER else []
    except (OSError, ValueError, csv.Error):
        return []


def write_failures(
    folder: Path, clips: pd.DataFrame, tried: NDArray, failures: Sequence[tuple[int, str, str]]
) -> None:
    """Replace what is noted of the clips that were tried by (row, feature, reason); keep the others'."""
    ids, paths = clips["clip_id"].to_numpy(), clips["path"].to_numpy()
    again = np.zeros(len(clips), bool)
    again[tried] = True
    with lock(folder, "index"):
        before = read_failures(folder)
        named = {one["clip_id"] for one in before}  # few, where the clips may be millions
        others = {clip for clip, retried in zip(ids, again) if clip in named and not retried}
        kept = [one for one in before if one["clip_id"] in others]
        new = [
            dict(zip(FAILURES_HEADER, (ids[row], paths[row], feature, reason)))
            for row, feature, reason in failures
        ]
        with replaced(folder / FAILURES) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FAILURES_HEADER, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept + new)


def read_costs(folder: Path) -> dict[str, float]:
    """Stored name -> seconds a clip; empty where nothing is known or the file is damaged."""
    try:
        with (folder / COSTS).open(newline="", encoding="utf-8") as file:
            return {row[COSTS_HEADER[0]]: float(row[COSTS_HEADER[1]]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_costs(folder: Path, seconds_a_clip: Mapping[str, float]) -> None:
    """Note what these features took; what is noted of others stays."""
    with lock(folder, "index"):
        known = {**read_costs(folder), **seconds_a_clip}
        with replaced(folder / COSTS) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COSTS_HEADER)
            writer.writerows(sorted(known.items()))


def extraction(cache: Cache, stored: Iterable[str]) -> dict[str, float]:
    """Megabytes, and where known seconds, that these features took for all clips, each feature once."""
    names, known = set(stored), read_costs(cache.folder)
    clip_bytes = sum(cache[name].rows * cache[name].frames * cache[name].dtype.itemsize for name in names)
    cost = {"megabytes": clip_bytes * len(cache.clips) / 1e6}
    if names <= known.keys():
        cost["seconds"] = sum(known[name] for name in names) * len(cache.clips)
    return cost
