"""costs.csv: seconds of one core that a feature took for a clip, and on how many clips
they were measured.

Features divide the time of a spectrum that they share.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from featurestack.features_cache.csv_rows import read_rows, write_rows
from featurestack.features_cache.feature_file import lock
from featurestack.features_cache.location import cache_folders

COSTS = "costs.csv"
HEADER = ("feature", "seconds_a_clip", "clips")


def read_costs(folder: Path) -> dict[str, tuple[float, int]]:
    """Stored name -> seconds a clip, number of clips measured; those of a joined cache
    too. A missing or damaged file has none.
    """
    costs: dict[str, tuple[float, int]] = {}
    for place in reversed(cache_folders(folder)):
        with suppress(ValueError):
            costs |= {
                feature: (float(seconds), int(clips))
                for feature, seconds, clips in read_rows(place / COSTS, HEADER)
            }
    return costs


def write_costs(
    folder: Path,
    seconds_a_clip: Mapping[str, float],
    clips: Mapping[str, int],
) -> None:
    """Note the costs of these features, unless more clips were measured before; other
    costs stay.
    """
    with lock(folder, "index"):
        costs = read_costs(folder)
        for name, seconds in seconds_a_clip.items():
            if clips[name] >= costs.get(name, (0.0, 0))[1]:
                costs[name] = seconds, clips[name]
        write_rows(
            folder / COSTS,
            HEADER,
            ((name, *measured) for name, measured in sorted(costs.items())),
        )
