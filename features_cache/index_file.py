"""index.h5: the clip table, the audio's source, and a link to each feature's values.

It can be made again, except in a cache without audio. It is replaced whole, by rename,
under a lock, so that a reader sees the old file or the new one.

The cache also works without its small files, which are replaced whole too:

verified.csv  size and time of each feature's file when all its clips were intact: an
              unchanged file is not read to look for damage
failures.csv  clips that failed, and why; they keep their rows, with state 0
check.json    the findings of `make check`
"""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import DamagedFile, RequestError, refuse_newer
from featurestack.base.files import hash_of, is_file, replace_file, replaced
from featurestack.base.json_content import keep_newer
from featurestack.base.own_files import OwnFiles, Taken
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import tell_once
from featurestack.features_cache import clip_table, hdf5
from featurestack.features_cache.datasets import INDEX, other_source
from featurestack.features_cache.feature_names import CHANNEL, NO_FEATURE_NAMES
from featurestack.features_cache.hdf5 import FORMAT_VERSION, Attributes, lock
from featurestack.features_cache.identity import Identity, of_cache

REMEDY = "move it, or give another NAME= or DATA="
CLIPS_GROUP = "clips"  # the table's group; every other name is a feature's link


def feature_names(folder: Path) -> list[str]:
    """Stored names of the feature files in a folder; mel-old.h5 is not one."""
    stems = [path.stem for path in sorted(folder.glob("*.h5"))]
    return [
        name
        for name in filter(CHANNEL.fullmatch, stems)
        if name not in NO_FEATURE_NAMES
    ]


def register_for_dataset(
    record: OwnFiles,
    names: Iterable[str],
    ours: Identity,
    cache: Path,
    is_ours: Callable[[Path], bool] = lambda file: False,
) -> None:
    """Register file names in a folder of this dataset, which has its cache in `cache`;
    RequestError if a file of the user has one, or if the folder belongs to another
    dataset by its record and by the cache's index.
    """

    def is_other(former: str) -> bool:
        if ours.is_same(Identity.parse(former)):
            return False
        with suppress(FileNotFoundError, DamagedFile):
            return not ours.is_same(of_cache(cache, *read_index(cache)))
        return True

    try:
        record.register(names, REMEDY, is_ours, identity=str(ours), is_other=is_other)
    except Taken as other:
        source, name = Identity.parse(other.identity).place, cache.parent.name
        raise other_source(record.folder, source, ours.place, name) from None


def register_names(folder: Path, *names: str, ours: Identity | None = None) -> None:
    """Register these file names in a cache; RequestError if a file of the user has one,
    or if the cache is not `ours`. Files copied from another cache are ours, as their
    content shows.
    """

    def is_ours(file: Path) -> bool:
        if file.suffix == ".h5":
            return bool(hdf5.is_ours(file))
        header = ",".join(HEADERS.get(file.name, [CHECK_BEGIN]))
        with suppress(OSError):
            return file.read_bytes().startswith(header.encode())
        return False

    remedy = REMEDY
    if ours:
        register_for_dataset(OwnFiles(folder), names, ours, folder, is_ours)
    else:
        OwnFiles(folder).register(names, remedy, is_ours)
    for name in names:
        file = folder / name
        if file.suffix == ".h5" and hdf5.is_ours(file) is False:
            raise RequestError(
                f"{file} was not written by this program and is not replaced: {remedy}"
            )


def read_index(folder: Path) -> tuple[pd.DataFrame, Attributes]:
    """(clips, attributes) of a cache; raises what `hdf5.opened` raises."""
    with hdf5.opened(folder / INDEX) as file:
        version = hdf5.read_attributes(file).get(hdf5.MARK)
        refuse_newer(folder / INDEX, version, FORMAT_VERSION)
        columns: dict[str, list[str] | NDArray] = {}
        group = file[CLIPS_GROUP]
        for name in clip_table.INDEX_COLUMNS:
            # the table of an earlier version lacks some
            if name in clip_table.VERSION_COLUMNS and name not in group:
                columns[name] = np.zeros(len(columns["clip_id"]), np.int64)
                continue
            column = hdf5.read_column(group, name)
            columns[name] = column
            if column.dtype.kind == "S":  # equal texts share one object in memory
                texts = (text.decode() for text in column.tolist())
                columns[name] = [*map(sys.intern, texts)]
        if len({*columns["clip_id"]}) < len(columns["clip_id"]):
            raise DamagedFile(f"{INDEX} names a clip twice")
        return pd.DataFrame(columns), hdf5.read_attributes(file)


def refresh(
    folder: Path,
    clips: pd.DataFrame,
    settings: Mapping[str, object],
    part: slice = slice(0, 0),
) -> None:
    """Rewrite the index if clips or files changed; SOURCE_COLUMNS only in `part`."""
    attributes = {**settings, hdf5.MARK: FORMAT_VERSION}
    with lock(folder, "index"):
        table, current = updated(folder, clips, settings, part)
        if current:
            return
        register_names(folder, INDEX)
        with replaced(folder / INDEX) as draft, hdf5.created(draft) as file:
            hdf5.write_attributes(file, attributes)
            group = file.create_group(CLIPS_GROUP)
            for name in clip_table.INDEX_COLUMNS:
                hdf5.write_column(group, name, table[name].to_numpy())
            for name in feature_names(folder):
                file[name] = h5py.ExternalLink(f"{name}.h5", "/values")


def updated(
    folder: Path, clips: pd.DataFrame, settings: Mapping[str, object], part: slice
) -> tuple[pd.DataFrame, bool]:
    """The clip table that `refresh` would write, and whether the index is current."""
    try:
        before, made = read_index(folder)
        merged = clip_table.with_sources(clips, before)
        for name in clip_table.SOURCE_COLUMNS:
            merged.iloc[part, merged.columns.get_loc(name)] = clips[name].iloc[part]
        with hdf5.opened(folder / INDEX) as file:
            linked = set(file) == {CLIPS_GROUP, *feature_names(folder)}
    except (FileNotFoundError, DamagedFile):
        return clips, False
    same = (
        linked
        and made == {**settings, hdf5.MARK: FORMAT_VERSION}
        and all(
            np.array_equal(before[name], merged[name])
            for name in clip_table.INDEX_COLUMNS
        )
    )
    return merged, same


HEADERS = {
    "verified.csv": ["feature", "size", "time_ns"],
    "failures.csv": ["clip_id", "path", "feature", "reason"],
}
VERIFIED, FAILURES = HEADERS
CHECKED = "check.json"
CHECK_FORMAT = 2
CHECK_FIELDS = ("format_version", "clips", "audio", "findings")
CHECK_BEGIN = '{\n "format_version"'  # of CHECKED
WHOLE = "all"  # takes the place of a feature if the clip itself failed


def read_rows(file: Path) -> list[list[str]]:
    """The rows of one of these CSV files; none if it is missing or of another form."""
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            names, *rows = csv.reader(opened)
    except (OSError, ValueError, csv.Error):
        return []
    if names != HEADERS[file.name] or any(len(row) != len(names) for row in rows):
        return []
    return rows


def write_rows(file: Path, rows: Iterable[Iterable[object]]) -> None:
    """Replace a CSV file; the caller holds the lock of the index."""
    table = pd.DataFrame([*map(list, rows)], columns=HEADERS[file.name])
    with replaced(file) as draft:
        draft.write_bytes(csv_text(table).encode())


def _file_state(path: Path) -> list[str]:
    state = path.stat()
    return [path.stem, str(state.st_size), str(state.st_mtime_ns)]


def is_verified(path: Path) -> bool:
    """Whether a file is unchanged since all its clips were known to be intact."""
    return _file_state(path) in read_rows(path.parent / VERIFIED)


def note_verified(folder: Path, features: Sequence[str]) -> None:
    """Note size and time of these features' files, whose clips are all intact."""
    register_names(folder, VERIFIED)
    with lock(folder, "index"):
        verified = read_rows(folder / VERIFIED)
        rows = []
        for name in feature_names(folder):
            state = _file_state(folder / f"{name}.h5")
            if name in features or state in verified:
                rows.append(state)
        if rows != verified:
            write_rows(folder / VERIFIED, rows)


def forget_verified(folder: Path) -> None:
    """Remove verified.csv when damage is found, so that the next run looks for more."""
    with suppress(OSError):
        if OwnFiles(folder).is_own(VERIFIED):
            (folder / VERIFIED).unlink(missing_ok=True)


def read_failures(folder: Path) -> list[list[str]]:
    """(clip id, path, feature or WHOLE, reason) of each failure."""
    return read_rows(folder / FAILURES)


def reasons_of(folder: Path, feature: str) -> dict[str, str]:
    """Clip id -> why it failed, as a whole or in this feature."""
    rows = read_failures(folder)
    return {clip: why for clip, _, failed, why in rows if failed in (feature, WHOLE)}


def failed_clips(folder: Path) -> dict[str, set[str]]:
    """Feature or WHOLE -> ids of failed clips; one in WHOLE is in no feature's set."""
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
    """Replace the noted failures of the tried clips, as a whole or in these features.

    tried     rows of the clips
    failures  (row, feature or WHOLE, reason)
    """
    ids = clips["clip_id"].to_numpy()
    paths = clips["path"].to_numpy()
    tried_features = {WHOLE, *features}
    here = {*ids}
    again = {*ids[tried]}
    with lock(folder, "index"):
        kept = []
        for clip, path, feature, reason in read_failures(folder):
            if clip in here and not (clip in again and feature in tried_features):
                kept.append([clip, path, feature, reason])
        new = [[ids[row], paths[row], *why] for row, *why in failures]
        write_rows(folder / FAILURES, kept + new)


def write_check(
    folder: Path, clips: pd.DataFrame, findings: Sequence[Attributes]
) -> None:
    """Keep the findings of `make check`, as fields, with digests of what was checked:
    the clips' labels, groups and folds, and their files' sizes and times.
    """
    digests = {"clips": _labels_digest(clips), "audio": _audio_digest(clips)}
    content = {"format_version": CHECK_FORMAT, **digests, "findings": findings}
    keep_newer(folder / CHECKED, CHECK_FORMAT)
    register_names(folder, CHECKED)
    replace_file(folder / CHECKED, f"{json.dumps(content, indent=1)}\n")


def read_check(folder: Path, clips: pd.DataFrame) -> list[Attributes] | None:
    """The findings of `make check`, leaks first; None if it has not been run, or if
    clips or audio files have changed since, or if the file is damaged, which is said.
    Audio files count only if one is here.
    """
    if not (folder / CHECKED).is_file():
        return None
    try:
        content = json.loads((folder / CHECKED).read_bytes())
        made, labels, audio, findings = (content[name] for name in CHECK_FIELDS)
    except (OSError, ValueError, LookupError, TypeError) as error:
        tell_once(
            f"{folder / CHECKED} cannot be read ({error}): check the dataset again"
        )
        return None
    here = any(map(is_file, clips["path"]))
    same = (made, labels) == (CHECK_FORMAT, _labels_digest(clips))
    return findings if same and not (here and audio != _audio_digest(clips)) else None


def _audio_digest(clips: pd.DataFrame) -> str:
    """Digest of size and time of each audio file, in the order of the clips' ids."""
    states = []
    for path in clips.sort_values("clip_id")["path"].unique():
        states.append([0, 0])
        with suppress(OSError):
            status = Path(path).stat()
            states[-1] = [status.st_size, status.st_mtime_ns]
    return hash_of(json.dumps(states).encode())


def _labels_digest(clips: pd.DataFrame) -> str:
    columns = ["clip_id", "label", "fold", "group", "train_only"]
    rows = sorted(clips[columns].values.tolist())
    return hash_of(json.dumps(rows).encode())
