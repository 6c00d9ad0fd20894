"""costs.csv: what computing each feature took, so that runs can be compared by what they cost.

Seconds of one core a clip, from the last extraction that computed the feature; what several features share
counts for the one that asked first. A cache without the file is as good as any other.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from features_cache.cache import Cache
from features_cache.locks import lock
from features_cache.storage import replaced

COSTS = "costs.csv"
HEADER = ("feature", "seconds_a_clip")


def read_costs(folder: Path) -> dict[str, float]:
    """Stored name -> seconds a clip; empty where nothing is known or the file is damaged."""
    try:
        with (folder / COSTS).open(newline="", encoding="utf-8") as file:
            return {row[HEADER[0]]: float(row[HEADER[1]]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_costs(folder: Path, seconds_a_clip: Mapping[str, float]) -> None:
    """Keep what these features took; what is told of others stays."""
    with lock(folder, "index"):
        known = {**read_costs(folder), **seconds_a_clip}
        with replaced(folder / COSTS) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(sorted(known.items()))


def extraction(cache: Cache, stored: Iterable[str]) -> dict[str, float]:
    """Megabytes, and where known seconds, that these features took for all clips, each feature once."""
    names, known = set(stored), read_costs(cache.folder)
    clip_bytes = sum(cache[name].rows * cache[name].frames * cache[name].dtype.itemsize for name in names)
    cost = {"megabytes": clip_bytes * len(cache.clips) / 1e6}
    if names <= known.keys():
        cost["seconds"] = sum(known[name] for name in names) * len(cache.clips)
    return cost
