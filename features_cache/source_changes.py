"""How the files of a dataset have changed since extraction."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base import NAMED
from featurestack.base.errors import RequestError
from featurestack.base.files import content_hash, is_file, is_folder, version_of
from featurestack.base.quantities import counted
from featurestack.base.table_files import read_table
from featurestack.features_cache.clip_table import VERSION_COLUMNS, WINDOW_COLUMNS
from featurestack.features_cache.identity import hash_or_blank, hashes_of


def source_changes(
    clips: pd.DataFrame, settings: Mapping[str, Any], folds: Path
) -> str:
    """How the files have changed since extraction, such as `3 clips new`; '' if no
    audio is there. `folds` is the dataset's folds.csv.

    Audio files are compared by size, times and inode, and by content if one of these
    differs; a table by its number of rows, and by content if that is equal. Labels,
    folds and groups may have changed, also in `folds`. New files are looked for next to
    known ones, but not in a folder with a CSV table, which may leave files out on
    purpose.
    """
    clips = clips[clips["path"] != ""]
    files = clips.drop_duplicates("path")
    states = [audio_state(file) for file in files.itertuples()]
    gone = files[[state == "removed" for state in states]]
    if len(gone) == len(files):
        return ""
    new = 0
    edited = []
    source = settings["source"]
    place = Path(source)
    if source not in NAMED and is_file(place):
        with suppress(RequestError):  # `make features` names what is wrong in it
            new = len(read_table(place)) - len(clips)
            if not new and settings.get("table") not in (None, content_hash(place)):
                edited = [f"{place.name} was edited"]
    elif source not in NAMED and is_folder(place):
        new = new_files(place, set(files["path"]))
    counts = {
        "new": max(0, new),
        "removed": len(gone) + max(0, -new),
        "changed": states.count("changed"),
    }
    parts = [
        f"{counted(count, 'clip')} {what}" for what, count in counts.items() if count
    ]
    if has_other_folds(clips, folds):
        edited.append(f"{folds.name} has other groups or folds")
    return ", ".join(parts + edited)


def has_other_folds(clips: pd.DataFrame, folds: Path) -> bool:
    """Whether folds.csv gives one of these clips another group or fold; False if the
    file has no such columns.
    """
    columns = ["group", "fold"]
    try:
        in_file = read_table(folds, na_texts=()).set_index("clip_id")[columns]
    except (OSError, KeyError, RequestError):
        return False
    in_cache = clips.set_index("clip_id")[columns].astype(str)
    in_file = in_file[~in_file.index.duplicated()]
    common = in_cache.index.intersection(in_file.index)
    return not in_cache.loc[common].equals(in_file.loc[common].astype(str))


def audio_state(file: Any) -> str:
    """`same`, `changed` or `removed`; `same` for a file not found at extraction."""
    known = tuple(getattr(file, name) for name in VERSION_COLUMNS)
    now = version_of(file.path)
    if now == known or not any(known):
        return "same"
    if not any(now):
        return "removed"
    same = now[0] == known[0] and hash_or_blank(file.path) == file.source_hash
    return "same" if same else "changed"


def at_place(path: str, source: str, place: str) -> str:
    """The path of a file of a folder or table, `source`, that lies at another place
    now. A file outside a table's folder may have been moved with it, or not.
    """
    before, now = Path(source), Path(place)
    if is_file(now):
        before, now = before.parent, now.parent
    other = os.path.normpath(now / os.path.relpath(path, before))
    within = Path(path).is_relative_to(before)
    there = within or os.path.exists(other)  # noqa: PTH110 Path's raises
    return other if there else path


def has_same_sounds(clips: pd.DataFrame, settings: Mapping[str, Any]) -> bool:
    """Whether the place of a cache's source has exactly the sounds that it was made of.
    They are read: equal names, sizes and times are no proof.
    """
    place = Path(settings["source"])
    if settings.get("table", "") != (hash_or_blank(place) if is_file(place) else ""):
        return False
    files = clips[clips["path"] != ""].drop_duplicates("path")
    if is_folder(place) and new_files(place, {*files["path"]}):
        return False
    files = files[files["source_hash"] != ""]  # others could not be read then
    sizes = [version_of(path)[0] for path in files["path"]]
    if files.empty or sizes != files["source_size"].tolist():
        return False
    return hashes_of(files["path"]) == files["source_hash"].tolist()


def copies(clips: pd.DataFrame) -> str:
    """A sentence on clips that have the content of a clip of another fold and source
    recording, by which a model is tested on what it was trained on; '' if none has.
    """
    known = clips[(clips["source_hash"] != "") & (clips["source_seconds"] > 0)]
    known = known.assign(fold=known["fold"].where(known["train_only"] == "", 0))
    content = ["source_hash", *WINDOW_COLUMNS]
    numbers = known.groupby(content)[["fold", "group"]].transform("nunique")
    leaks = known[(numbers > 1).all(axis=1)]
    if leaks.empty:
        return ""
    same = leaks["source_hash"] == leaks["source_hash"].iloc[0]
    first, second = leaks["clip_id"][same].iloc[:2]
    return (
        f"{counted(len(leaks), 'clip')} have the content of a clip in another fold,"
        f" such as {first} and {second}, so scores are too high: check names them"
    )


def new_files(folder: Path, extracted: Collection[str]) -> int:
    """The number of other files next to extracted ones and with the same endings."""
    if any(folder.glob("*.csv")) or any(folder.glob("*/*.csv")):
        return 0
    endings = {Path(path).suffix for path in extracted}
    new = 0
    for place in {Path(path).parent for path in extracted}:
        for file in place.glob("[!.]*"):
            new += file.suffix in endings and str(file) not in extracted
    return new
