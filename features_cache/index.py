"""index.h5, failures.csv and costs.csv: what a cache holds beside the features' files.

index.h5       the clip table, where the audio came from, and a link to the values of every feature
failures.csv   clips that could not be done, and why; they keep their rows, with state 0
costs.csv      seconds of one core a clip that a feature took when it was last computed; what several features
               share counts for the one that asked first. A cache without the file is as good as any other.

They hold no values, so they can be made again at any time; each is only ever replaced whole, by rename, under
one lock. A reader therefore sees the old one or the new one.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline.files import replaced
from commandline.terminal import counted
from features_cache import hdf5
from features_cache.hdf5 import DamagedFile
from features_cache.layout import FORMAT, lock
from features_cache.table import CLIP_COLUMNS, SOURCE_COLUMNS, with_own_groups, with_sources

INDEX = "index.h5"
COLUMNS = (*CLIP_COLUMNS, *SOURCE_COLUMNS)
LATER = "source_seconds"  # a column that indexes of before have not
CLIPS = "clips"  # the group of the table; every other name is a feature's link
CHECKED = "check.json"
FAILURES = "failures.csv"
WHOLE = "all"  # in the place of a feature: the clip itself is at fault
FAILURES_HEADER = ("clip_id", "path", "feature", "reason")
COSTS = "costs.csv"
COSTS_HEADER = ("feature", "seconds_a_clip")


def feature_files(folder: Path) -> list[Path]:
    """The feature files of a cache, by name."""
    return sorted(path for path in folder.glob("*.h5") if path.name != INDEX)


def read_index(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """(clips with COLUMNS, attributes); FileNotFoundError or DamagedFile where there is none to read."""
    with hdf5.opened(folder / INDEX) as file:
        return read_clips(file), hdf5.read_attributes(file)


def changed_table(folder: Path, source: str, clips: pd.DataFrame) -> str:
    """`mine.csv gives 12 clips other labels or folds than …`, empty where nothing changed since.

    source  of the dataset, as in the index: a CSV, or a folder with ESC-50's meta/*.csv; beside the cache
            lies folds.csv where folds were drawn. Only a file that was written after the index is read.
    """
    index, place = folder / INDEX, Path(source)
    tables = [place] if place.is_file() else sorted((place / "meta").glob("*.csv"))
    kept = folder.parent / "folds.csv"
    by_group = kept.is_file() and kept.read_bytes().rstrip().endswith(b",group")
    for file in (*tables, kept):
        if file.is_file() and file.stat().st_mtime_ns > index.stat().st_mtime_ns:
            columns = ("label",) if by_group and file != kept else ("label", "fold")
            if changed := _changed_clips(file, clips, columns):
                return (
                    f"{file} gives {counted(changed, 'clip')} other labels or folds than when features were "
                    "extracted: make features takes them over and computes nothing again"
                )
    return ""


def _changed_clips(file: Path, clips: pd.DataFrame, columns: Sequence[str]) -> int:
    """Clips of which this table says something else; 0 where it is no table of clips."""
    try:
        given = pd.read_csv(file, sep=None, engine="python", dtype=str, keep_default_na=False)
    except (ValueError, OSError, csv.Error):  # the last where no delimiter is found
        return 0
    if "label" not in given:  # ESC-50's columns
        given = given.rename(columns={"category": "label"})
    if "filename" in given:
        given["clip_id"] = [Path(name).stem for name in given["filename"]]
    if "clip_id" not in given or given["clip_id"].duplicated().any():
        return 0
    both = clips[clips["copy_of"] == ""].merge(given, on="clip_id", suffixes=("", " now"))
    differs = np.zeros(len(both), bool)
    for name in columns:
        if (now := f"{name} now") in both:
            differs |= ((both[now] != both[name].astype(str)) & (both[now] != "")).to_numpy()
    return int(differs.sum())


def read_clips(file: h5py.File, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """The clip table in an open index, or some columns of it."""
    table: dict[str, Any] = {}
    group = hdf5.read_member(file, CLIPS)
    for name in columns:
        if name not in group and name == LATER:
            table[name] = np.zeros(len(group["clip_id"]))
            continue
        column = hdf5.read_column(group, name)
        table[name] = hdf5.decoded(column) if column.dtype.kind == "S" else column
        if name == "group":  # most clips are one of their own: one text for both
            table[name] = [clip if clip == one else one for clip, one in zip(table["clip_id"], table[name])]
    clips = pd.DataFrame(table)
    former = "copy_of" in table and not all(map(str.strip, table.get("group", ())))  # blank groups
    return with_own_groups(clips) if former else clips


def stored_ids(clips: pd.DataFrame) -> NDArray[np.bytes_]:
    """(N,) clip ids as stored in a file."""
    return hdf5.as_stored(clips["clip_id"].to_numpy())


def read_settings(folder: Path) -> dict[str, Any]:
    """The attributes alone, at a cost that does not grow with the number of clips."""
    with hdf5.opened(folder / INDEX) as file:
        return hdf5.read_attributes(file)


def refresh(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, Any], part: slice = slice(0, 0)
) -> None:
    """Make the index one of these clips and of the feature files that are there.

    Outside `part` what is known of the sources is kept as it is: another run may have written it.
    """
    attributes = {**settings, "format_version": FORMAT}
    with lock(folder, "index"):
        try:
            with hdf5.opened(folder / INDEX) as file:
                known = with_sources(clips, read_clips(file, ("clip_id", *SOURCE_COLUMNS)))
                for name in SOURCE_COLUMNS:
                    known.iloc[part, known.columns.get_loc(name)] = clips[name].iloc[part]
                linked = set(file) == {CLIPS, *(path.stem for path in feature_files(folder))}
                if linked and _describes(file, known, attributes):
                    return
        except (FileNotFoundError, DamagedFile):
            known = clips
        write_index(folder, known, attributes)


def write_index(folder: Path, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """Replace the index by one of these clips and the feature files that are there; its lock is held."""
    with replaced(folder / INDEX) as draft, hdf5.created(draft) as file:
        write_clips(file, clips, attributes)
        for path in feature_files(folder):
            file[path.stem] = h5py.ExternalLink(path.name, "/values")


def write_clips(file: h5py.File, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
    """The clip table into a new file."""
    hdf5.write_attributes(file, attributes)
    group = file.create_group(CLIPS)
    for name in COLUMNS:
        hdf5.write_column(group, name, clips[name].to_numpy())


def _describes(file: h5py.File, clips: pd.DataFrame, attributes: Mapping[str, Any]) -> bool:
    """Whether an index describes these clips; column by column, since they may be millions."""
    if LATER not in file[CLIPS]:
        return False
    columns = ((hdf5.read_column(file[CLIPS], name), clips[name].to_numpy()) for name in COLUMNS)
    return hdf5.read_attributes(file) == attributes and all(
        np.array_equal(there, hdf5.as_stored(column)) for there, column in columns
    )


def read_failures(folder: Path) -> list[dict[str, str]]:
    """One dictionary a failure, keys FAILURES_HEADER; the feature may be WHOLE.

    None where there is no such file, or what is there is another one.
    """
    if not (folder / FAILURES).is_file():
        return []
    try:
        with (folder / FAILURES).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return list(rows) if tuple(rows.fieldnames or ()) == FAILURES_HEADER else []
    except (OSError, ValueError, csv.Error):
        return []


def failed_clips(folder: Path) -> dict[str, set[str]]:
    """Feature, or WHOLE, -> ids of the clips that failed; those under WHOLE are under no feature."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in read_failures(folder):
        found[one["feature"]].add(one["clip_id"])
    whole = found.pop(WHOLE, set())
    single = {name: ids - whole for name, ids in found.items()}
    return {name: ids for name, ids in {WHOLE: whole, **single}.items() if ids}


def read_check(folder: Path) -> list[dict[str, Any]] | None:
    """What `python -m pipeline check` found, leaks first; None if it has not been run, or is damaged."""
    try:
        content = json.loads((folder / CHECKED).read_text("utf-8")) if (folder / CHECKED).is_file() else {}
        return list(content["findings"]) if content.get("format_version") == 1 else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def write_failures(
    folder: Path,
    clips: pd.DataFrame,
    tried: NDArray,
    features: Iterable[str],
    failures: Sequence[tuple[int, str, str]],
) -> None:
    """Replace what is noted of these features, or of all, of the clips that were tried; keep the rest.

    tried     rows of the clips
    features  stored names of what was asked for
    failures  (row, feature or WHOLE, reason)
    """
    ids, paths, asked = clips["clip_id"].to_numpy(), clips["path"].to_numpy(), {WHOLE, *features}
    again = np.zeros(len(clips), bool)
    again[tried] = True
    with lock(folder, "index"):
        before = read_failures(folder)
        named = {one["clip_id"] for one in before}  # few, where the clips may be millions
        retried = {clip: tried_now for clip, tried_now in zip(ids, again) if clip in named}
        here = [one for one in before if one["clip_id"] in retried]
        kept = [one for one in here if one["feature"] not in asked or not retried[one["clip_id"]]]
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
    if not (folder / COSTS).is_file():
        return {}
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
