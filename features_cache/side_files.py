"""The small files of a cache: CSV with a fixed header, and check.json.

verified.csv  size and time of each feature's file when all its clips were intact: an
              unchanged file is not read to look for damage
costs.csv     seconds of one core that a feature took for a clip, and on how many clips
              they were measured; features divide the time of a shared spectrum
failures.csv  clips that failed, and why; they keep their rows, with state 0
check.json    the findings of `make check`

A cache works without them. Each is replaced whole, a CSV under the lock of the index.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache.hdf5 import Attributes, lock
from featurestack.features_cache.index import claim_names, feature_names
from featurestack.storage.files import replace_file, replaced
from featurestack.storage.own_files import OwnFiles

HEADERS = {
    "verified.csv": ["feature", "size", "time_ns"],
    "costs.csv": ["feature", "seconds_a_clip", "clips"],
    "failures.csv": ["clip_id", "path", "feature", "reason"],
}
VERIFIED, COSTS, FAILURES = HEADERS
CHECKED = "check.json"
CHECK_FORMAT = 1
WHOLE = "all"  # stands in place of a feature if the clip itself is at fault


def read_rows(file: Path) -> list[list[str]]:
    """The rows of one of these CSV files; none if it is missing or of another form."""
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            names, *rows = csv.reader(opened)
    except (OSError, ValueError, csv.Error):
        return []
    if names != HEADERS[file.name] or any(len(row) != len(names) for row in rows):
        return []
    return rows


def write_rows(file: Path, rows: Iterable[Iterable[object]]) -> None:
    """Replace a CSV file; the caller holds the cache's lock of the index."""
    with (
        replaced(file) as draft,
        draft.open("w", newline="", encoding="utf-8") as opened,
    ):
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerows([HEADERS[file.name], *rows])


def _file_state(path: Path) -> list[str]:
    state = path.stat()
    return [path.stem, str(state.st_size), str(state.st_mtime_ns)]


def is_verified(path: Path) -> bool:
    """Whether a file is unchanged since all its clips were known to be intact."""
    return _file_state(path) in read_rows(path.parent / VERIFIED)


def note_verified(folder: Path, features: Sequence[str]) -> None:
    """Note size and time of these features' files, whose clips are all intact."""
    claim_names(folder, VERIFIED)
    with lock(folder, "index"):
        known = read_rows(folder / VERIFIED)
        rows = []
        for name in feature_names(folder):
            state = _file_state(folder / f"{name}.h5")
            if name in features or state in known:
                rows.append(state)
        if rows != known:
            write_rows(folder / VERIFIED, rows)


def forget_verified(folder: Path) -> None:
    """Remove verified.csv after damage was found: the next run looks for more."""
    with suppress(OSError):
        if OwnFiles(folder).is_own(VERIFIED):
            (folder / VERIFIED).unlink(missing_ok=True)


def read_costs(folder: Path) -> dict[str, tuple[float, int]]:
    """Stored name -> seconds a clip, clips measured."""
    costs: dict[str, tuple[float, int]] = {}
    with suppress(ValueError):
        for feature, seconds, clips in read_rows(folder / COSTS):
            costs[feature] = float(seconds), int(clips)
    return costs


def write_costs(
    folder: Path, seconds_a_clip: Mapping[str, float], clips: Mapping[str, int]
) -> None:
    """Note these features' costs, unless more clips were measured before."""
    with lock(folder, "index"):
        costs = read_costs(folder)
        for name, seconds in seconds_a_clip.items():
            if clips[name] >= costs.get(name, (0.0, 0))[1]:
                costs[name] = seconds, clips[name]
        rows = [(name, *measured) for name, measured in sorted(costs.items())]
        write_rows(folder / COSTS, rows)


def read_failures(folder: Path) -> list[list[str]]:
    """(clip id, path, feature or WHOLE, reason) of each failure."""
    return read_rows(folder / FAILURES)


def failed_clips(folder: Path) -> dict[str, set[str]]:
    """Feature, or WHOLE alone -> ids of failed clips."""
    rows = read_failures(folder)
    whole = {clip for clip, _, feature, _ in rows if feature == WHOLE}
    failed = defaultdict(set)
    for clip, _, feature, _ in rows:
        if feature == WHOLE or clip not in whole:
            failed[feature].add(clip)
    return failed


def has_failed(
    folder: Path, clips: pd.DataFrame, features: Iterable[str]
) -> NDArray[np.bool_]:
    """(N,) whether a clip failed as a whole or in one of these features."""
    by_feature = failed_clips(folder)
    ids = by_feature[WHOLE].union(*(by_feature[name] for name in features))
    return clips["clip_id"].isin(ids).to_numpy()


def write_failures(
    folder: Path,
    clips: pd.DataFrame,
    tried: NDArray,
    features: Iterable[str],
    failures: Sequence[tuple[int, str, str]],
) -> None:
    """Replace the tried clips' failures, as a whole or in the features asked for.

    tried     rows of the clips
    failures  (row, feature or WHOLE, reason)
    """
    ids = clips["clip_id"].to_numpy()
    paths = clips["path"].to_numpy()
    asked = {WHOLE, *features}
    here = {*ids}
    again = {*ids[tried]}
    with lock(folder, "index"):
        kept = []
        for clip, path, feature, reason in read_failures(folder):
            if clip in here and not (clip in again and feature in asked):
                kept.append([clip, path, feature, reason])
        new = [[ids[row], paths[row], *why] for row, *why in failures]
        write_rows(folder / FAILURES, kept + new)


def write_check(
    folder: Path, clips: pd.DataFrame, findings: Sequence[Attributes]
) -> None:
    """Keep what `make check` found in these clips."""
    content = {
        "format_version": CHECK_FORMAT,
        "clips": _labels_digest(clips),
        "audio": _audio_digest(clips),
        "findings": findings,
    }
    text = f"{json.dumps(content, indent=1)}\n"
    claim_names(folder, CHECKED)
    replace_file(folder / CHECKED, text)


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `make check`, leaks first; None without any, and if
    clips or audio files, unless none is here, have changed since.
    """
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8"))
        known = content["format_version"] == CHECK_FORMAT
        if not known or content["clips"] != _labels_digest(clips):
            return None
        here = any(Path(path).is_file() for path in clips["path"])
        if here and content["audio"] != _audio_digest(clips):
            return None
        return list(content["findings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _audio_digest(clips: pd.DataFrame) -> str:
    """Digest of size and time of each audio file, in the order of the clips' ids."""
    states = []
    for path in clips.sort_values("clip_id")["path"].unique():
        states.append([0, 0])
        with suppress(OSError):
            status = Path(path).stat()
            states[-1] = [status.st_size, status.st_mtime_ns]
    return _digest(states)


def _labels_digest(clips: pd.DataFrame) -> str:
    columns = ["clip_id", "label", "fold", "group", "train_only"]
    return _digest(sorted(clips[columns].values.tolist()))


def _digest(rows: Sequence[object]) -> str:
    return blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest()
