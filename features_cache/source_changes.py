"""Changes of a dataset's files since its features were extracted.

Audio files are compared by size and time, those of another time by content; a table by
its number of rows. New files are looked for beside known ones, but not in a folder with
a CSV table, which may leave files out on purpose.
"""

import csv
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

from featurestack.commandline.quantities import counted
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.location import NAMED
from featurestack.features_cache.table import originals
from featurestack.storage.files import content_hash


def source_changes(cache: Cache) -> str:
    """Changes of a cache's dataset, as `3 clips new`; '' if no audio file is there."""
    clips = originals(cache.sources)
    clips = clips[clips["path"] != ""]
    files = clips.drop_duplicates("path")
    states = [audio_state(file) for file in files.itertuples()]
    removed = states.count("removed")
    if removed == len(files):
        return ""
    new = 0
    source = Path(cache.source)
    if cache.source not in NAMED and source.is_file():
        new = rows_of_table(source) - len(clips)
    elif cache.source not in NAMED and source.is_dir():
        new = new_files(source, set(files["path"]))
    counts = {
        "new": max(0, new),
        "removed": removed + max(0, -new),
        "changed": states.count("changed"),
    }
    return ", ".join(
        f"{counted(count, 'clip')} {what}" for what, count in counts.items() if count
    )


def audio_state(file: Any) -> str:
    """`same`, `changed` or `removed`; a file missing at extraction is the same."""
    if not (file.source_size or file.source_time_ns):
        return "same"
    path = Path(file.path)
    try:
        status = path.stat()
        if status.st_size != file.source_size:
            return "changed"
        if status.st_mtime_ns == file.source_time_ns:
            return "same"
        return "same" if content_hash(path) == file.source_hash else "changed"
    except OSError:
        return "removed"


def rows_of_table(table: Path) -> int:
    """The rows below the header of a CSV; quoted cells may hold line breaks."""
    text = table.read_text(encoding="utf-8-sig", errors="replace")
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return sum(any(cell.strip() for cell in row) for row in rows) - 1


def new_files(folder: Path, known: Collection[str]) -> int:
    """The number of unknown files beside known ones with endings of known ones."""
    if any(folder.glob("*.csv")) or any(folder.glob("*/*.csv")):
        return 0
    endings = {Path(path).suffix for path in known}
    beside = {Path(path).parent for path in known}
    new = 0
    for place in beside:
        for file in place.glob("[!.]*"):
            new += file.suffix in endings and str(file) not in known
    return new
