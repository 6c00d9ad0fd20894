"""How the files of a dataset have changed since extraction."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base import NAMED
from featurestack.base.errors import RequestError
from featurestack.base.files import content_hash
from featurestack.base.quantities import counted
from featurestack.base.table_files import read_table


def source_changes(
    clips: pd.DataFrame, settings: Mapping[str, Any], folds: Path
) -> str:
    """How the files have changed since extraction, such as `3 clips new`; '' if no
    audio is there. `folds` is the dataset's folds.csv.

    Audio files are compared by size and time, and by content if the time differs; a
    table by its number of rows, and by content if that is equal. Labels, folds and
    groups may have changed, also in `folds`. New files are looked for next to known
    ones, but not in a folder with a CSV table, which may leave files out on purpose.
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
    if source not in NAMED and place.is_file():
        with suppress(RequestError):  # `make features` names what is wrong in it
            new = len(read_table(place)) - len(clips)
            if not new and settings.get("table") not in (None, content_hash(place)):
                edited = [f"{place.name} was edited"]
    elif source not in NAMED and place.is_dir():
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
        in_file = read_table(folds, missing=()).set_index("clip_id")[columns]
    except (OSError, KeyError, RequestError):
        return False
    in_cache = clips.set_index("clip_id")[columns].astype(str)
    in_file = in_file[~in_file.index.duplicated()]
    common = in_cache.index.intersection(in_file.index)
    return not in_cache.loc[common].equals(in_file.loc[common].astype(str))


def audio_state(file: Any) -> str:
    """`same`, `changed` or `removed`; `same` for a file not found at extraction."""
    if not (file.source_size or file.source_time_ns):
        return "same"
    path = Path(file.path)
    try:
        status = path.stat()
        same = status.st_size == file.source_size and (
            status.st_mtime_ns == file.source_time_ns
            or content_hash(path) == file.source_hash
        )
    except OSError:
        return "removed"
    return "same" if same else "changed"


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
