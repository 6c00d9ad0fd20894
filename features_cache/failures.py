"""failures.csv: clips that could not be done, and why; they keep their rows, with state
0.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache.csv_rows import read_rows, write_rows
from featurestack.features_cache.feature_file import lock
from featurestack.features_cache.location import cache_folders

FAILURES = "failures.csv"
HEADER = ("clip_id", "path", "feature", "reason")
WHOLE = "all"  # stands in place of a feature if the clip itself is at fault


def read_failures(folder: Path) -> list[list[str]]:
    """(clip id, path, feature or WHOLE, reason) of each failure."""
    return read_rows(folder / FAILURES, HEADER)


def failed_clips(folder: Path) -> dict[str, set[str]]:
    """Feature, or WHOLE -> ids of failed clips, also of a joined cache; a clip under
    WHOLE stands under no feature.
    """
    rows = [row for place in cache_folders(folder) for row in read_failures(place)]
    whole = {clip for clip, _, feature, _ in rows if feature == WHOLE}
    failed = defaultdict(set)
    for clip, _, feature, _ in rows:
        if feature == WHOLE or clip not in whole:
            failed[feature].add(clip)
    return failed


def write_failures(
    folder: Path,
    clips: pd.DataFrame,
    tried: NDArray,
    features: Iterable[str],
    failures: Sequence[tuple[int, str, str]],
) -> None:
    """Replace the tried clips' failures, as a whole or in these features; drop those of
    clips that are gone.

    tried     rows of the clips
    features  stored names of the features asked for
    failures  (row, feature or WHOLE, reason)
    """
    ids = clips["clip_id"].to_numpy()
    paths = clips["path"].to_numpy()
    asked = {WHOLE, *features}
    here = {*ids}
    again = {*ids[tried]}
    with lock(folder, "index"):
        kept = [
            [clip, path, feature, reason]
            for clip, path, feature, reason in read_failures(folder)
            if clip in here and not (clip in again and feature in asked)
        ]
        new = [
            [ids[row], paths[row], feature, reason] for row, feature, reason in failures
        ]
        write_rows(folder / FAILURES, HEADER, kept + new)
