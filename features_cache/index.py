"""index.h5, check.json and three CSV files: the files of a cache that hold no feature
values.

index.h5       the clip table, the audio's source, and a link to the values of every
               feature
check.json     the findings of `python -m pipeline check`
failures.csv   clips that could not be done, and why; these clips keep their rows, with
               state 0
costs.csv      seconds of one core that a feature took for a clip, and the number of
               clips measured. Features
               divide the time of a spectrum that they share. A cache works without this
               file.
verified.csv   size and time of each feature's file when all its clips were intact. A
               run does not read an unchanged file to look for damage. Whoever finds
               damage removes verified.csv.

All can be made again, except the index.h5 of a cache without audio. Each is replaced
whole, by rename (all but check.json under one lock), so that a reader sees the old file
or the new one.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.features_cache import hdf5
from featurestack.features_cache.feature_file import FORMAT, lock
from featurestack.features_cache.hdf5 import Attributes, DamagedFile
from featurestack.features_cache.location import INDEX
from featurestack.features_cache.names import CHANNEL, NO_FEATURE_NAMES
from featurestack.features_cache.table import (
    CLIP_COLUMNS,
    SOURCE_COLUMNS,
    WINDOW_COLUMNS,
    originals,
    with_sources,
)
from featurestack.storage.files import replace_file, replaced

COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS)
CLIPS = "clips"  # the table's group; every other name is a feature's link
CHECKED = "check.json"
FAILURES = "failures.csv"
WHOLE = "all"  # stands in place of a feature if the clip itself is at fault
COSTS = "costs.csv"
VERIFIED = "verified.csv"
HEADERS = {
    FAILURES: ["clip_id", "path", "feature", "reason"],
    COSTS: ["feature", "seconds_a_clip", "clips"],
    VERIFIED: ["feature", "size", "time_ns"],
}


def can_hold_feature(path: Path) -> bool:
    """Whether a file has the name of a feature's file; a copy such as mel-old.h5 has
    not.
    """
    return (
        path.suffix == ".h5"
        and path.stem not in NO_FEATURE_NAMES
        and bool(CHANNEL.fullmatch(path.stem))
    )


def feature_names(folder: Path) -> list[str]:
    """Stored names of the feature files that are there."""
    return [path.stem for path in sorted(filter(can_hold_feature, folder.glob("*.h5")))]


def read_index(folder: Path) -> tuple[pd.DataFrame, Attributes]:
    """(clips with COLUMNS, attributes); FileNotFoundError or DamagedFile if it cannot
    be read.
    """
    with hdf5.opened(folder / INDEX) as file:
        group = hdf5.read_member(file, CLIPS)
        names = [*COLUMNS, *(name for name in WINDOW_COLUMNS if name in group)]
        columns = {name: hdf5.decoded(hdf5.read_column(group, name)) for name in names}
        return pd.DataFrame(columns), hdf5.read_attributes(file)


def stored_ids(clips: pd.DataFrame) -> NDArray[np.bytes_]:
    """(N,) clip ids as stored in a file."""
    return hdf5.as_stored(clips["clip_id"].to_numpy())


def refresh(
    folder: Path,
    clips: pd.DataFrame,
    settings: Mapping[str, object],
    part: slice = slice(0, 0),
) -> None:
    """Rewrite the index for these clips and the present feature files, unless nothing
    changed.

    Outside `part` the SOURCE_COLUMNS stay as they are: another run may have written
    them.
    """
    attributes = {**settings, "format_version": FORMAT}
    with lock(folder, "index"):
        links = feature_names(folder)
        try:
            before, made = read_index(folder)
            known = with_sources(clips, before)
            for name in SOURCE_COLUMNS:
                known.iloc[part, known.columns.get_loc(name)] = clips[name].iloc[part]
            with hdf5.opened(folder / INDEX) as file:
                linked = set(file) == {CLIPS, *links}
            if (
                linked
                and made == attributes
                and {*before} == {*known}
                and all(np.array_equal(before[name], known[name]) for name in known)
            ):
                return
        except (FileNotFoundError, DamagedFile):
            known = clips
        with replaced(folder / INDEX) as draft, hdf5.created(draft) as file:
            hdf5.write_attributes(file, attributes)
            group = file.create_group(CLIPS)
            for name in [*COLUMNS, *(name for name in WINDOW_COLUMNS if name in known)]:
                hdf5.write_column(group, name, known[name].to_numpy())
            for name in links:
                file[name] = h5py.ExternalLink(f"{name}.h5", "/values")


def _read_rows(file: Path) -> list[list[str]]:
    """The rows of a CSV file; none if it is missing or has another form."""
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            header, *rows = csv.reader(opened)
    except (OSError, ValueError, csv.Error):
        return []
    whole = header == HEADERS[file.name] and all(
        len(row) == len(header) for row in rows
    )
    return rows if whole else []


def _write_rows(file: Path, rows: Iterable[Iterable[object]]) -> None:
    with (
        replaced(file) as draft,
        draft.open("w", newline="", encoding="utf-8") as opened,
    ):
        csv.writer(opened, lineterminator="\n").writerows([HEADERS[file.name], *rows])


def read_failures(folder: Path) -> list[list[str]]:
    """(clip id, path, feature or WHOLE, reason) of each failure."""
    return _read_rows(folder / FAILURES)


def failed_clips(folder: Path) -> dict[str, set[str]]:
    """Feature, or WHOLE -> ids of failed clips; a clip under WHOLE stands under no
    feature.
    """
    rows = read_failures(folder)
    whole = {clip for clip, _, feature, _ in rows if feature == WHOLE}
    failed = defaultdict(set)
    for clip, _, feature, _ in rows:
        if feature == WHOLE or clip not in whole:
            failed[feature].add(clip)
    return failed


def write_check(
    folder: Path, clips: pd.DataFrame, findings: Sequence[Attributes]
) -> None:
    """Keep what `python -m pipeline check` found in these clips."""
    content = {
        "format_version": 2,
        "clips": _labels_digest(clips),
        "findings": findings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / CHECKED, f"{json.dumps(content, indent=1)}\n")


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `python -m pipeline check`, leaks first.

    None if it has not been run, if clips, labels, folds or recordings have changed
    since, or if the file is damaged.
    """
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8"))
        of_these = content["format_version"] == 2 and content[
            "clips"
        ] == _labels_digest(clips)
        return list(content["findings"]) if of_these else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _labels_digest(clips: pd.DataFrame) -> str:
    rows = originals(clips)[["clip_id", "label", "fold", "group"]].values.tolist()
    return blake2b(json.dumps(sorted(rows)).encode(), digest_size=16).hexdigest()


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
        _write_rows(folder / FAILURES, kept + new)


def read_costs(folder: Path) -> dict[str, tuple[float, int]]:
    """Stored name -> seconds a clip, number of clips measured; empty if the file is
    missing or damaged.
    """
    try:
        rows = _read_rows(folder / COSTS)
        return {
            feature: (float(seconds), int(clips)) for feature, seconds, clips in rows
        }
    except ValueError:
        return {}


def write_costs(
    folder: Path, seconds_a_clip: Mapping[str, float], clips: Mapping[str, int]
) -> None:
    """Note the costs of these features, unless more clips were measured before; other
    costs stay.
    """
    with lock(folder, "index"):
        costs = read_costs(folder)
        for name, seconds in seconds_a_clip.items():
            if clips[name] >= costs.get(name, (0.0, 0))[1]:
                costs[name] = seconds, clips[name]
        _write_rows(
            folder / COSTS,
            ((name, *measured) for name, measured in sorted(costs.items())),
        )


def _as_it_is(path: Path) -> list[str]:
    state = path.stat()
    return [path.stem, str(state.st_size), str(state.st_mtime_ns)]


def is_verified(path: Path) -> bool:
    """Whether a feature's file is unchanged since all its clips were known to be
    intact.
    """
    return _as_it_is(path) in _read_rows(path.parent / VERIFIED)


def note_verified(folder: Path, features: Sequence[str]) -> None:
    """Note size and time of these features' files, in which the caller knows all clips
    to be intact.
    """
    with lock(folder, "index"):
        known = _read_rows(folder / VERIFIED)
        now = [_as_it_is(folder / f"{name}.h5") for name in feature_names(folder)]
        rows = [row for row in now if row[0] in features or row in known]
        if rows != known:
            _write_rows(folder / VERIFIED, rows)


def forget_verified(folder: Path) -> None:
    """Remove verified.csv after damage was found, so that the next run looks for
    more.
    """
    with suppress(OSError):
        (folder / VERIFIED).unlink(missing_ok=True)
