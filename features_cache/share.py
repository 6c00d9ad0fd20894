"""Export and import: a cache, or some of its features, as one zip of its ordinary files, bit for bit."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from commandline.errors import RequestError
from commandline.terminal import progress, size
from features_cache.feature_file import lock
from features_cache.index import can_hold_feature, feature_names, read_index, refresh
from features_cache.inspect import verify_cache
from features_cache.location import INDEX, is_cache
from features_cache.table import complete
from features_cache.writer import written_to
from storage.archives import listed_bytes
from storage.files import replaced
from storage.system import sync

MOST_FILES = 10_000
MOST_LISTED = 1000 * MOST_FILES  # bytes of the list of files


def export_features(folder: Path, features: Sequence[str], target: Path) -> None:
    """Write the index and these features to `target`; RequestError if one is damaged or being written."""
    for name in features:
        if writer := written_to(folder, name):
            raise RequestError(f"{name} is being written by {writer}; wait for it to end")
    wrong = [verdict.name for verdict in verify_cache(folder, features) if not verdict.intact]
    if wrong:
        raise RequestError(
            f"not intact: {', '.join(wrong)}; features_cache verify says why, make features mends it"
        )
    with replaced(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in progress([INDEX, *(f"{name}.h5" for name in features)], label="export", unit="files"):
            archive.write(folder / name, name)


def import_features(source: Path, folder: Path) -> list[str]:
    """Put the features of an exported file into a cache, made if there is none; returns their names.

    RequestError, and nothing is imported, if the file is damaged, or if the cache has another source or one
    of the features already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with unpacked(source, folder.parent) as files:
        if wrong := wrong_in(files):
            raise RequestError(f"{source}: {wrong[0]}; nothing was imported, export the features again")
        clips, settings = read_index(files)
        complete(clips)
        if is_cache(folder):
            clips, present = read_index(folder)
            if present != settings:
                raise RequestError(
                    f"{folder} is a cache of {present}, {source} one of {settings}; give NAME="
                )
        names = feature_names(files)
        for name in names:
            if (folder / f"{name}.h5").exists():
                raise RequestError(f"{folder} has {name} already; remove {name}.h5 first")
        for name in names:
            with lock(folder, name):
                sync(files / f"{name}.h5")
                (files / f"{name}.h5").rename(folder / f"{name}.h5")
        sync(folder)
        refresh(folder, clips, settings)
    return names


def verify_export(source: Path) -> list[str]:
    """Faults of an exported file: `mel: 1-100032-A-0 damaged`, or why it cannot be read.

    RequestError if there is no such file.
    """
    try:
        with unpacked(source) as files:
            return wrong_in(files)
    except RequestError as wrong:
        if not source.is_file():
            raise
        return [str(wrong)]


def wrong_in(folder: Path) -> list[str]:
    """Verdicts on the files that are not intact."""
    return [verdict.text for verdict in verify_cache(folder) if not verdict.intact]


@contextmanager
def unpacked(source: Path, beside: Path | None = None) -> Iterator[Path]:
    """A temporary folder with the files of an exported cache."""
    if not source.is_file():
        raise RequestError(f"{source}: there is no such file")
    with tempfile.TemporaryDirectory(prefix=".import-", dir=beside) as place:
        try:
            if (listed := listed_bytes(source)) > MOST_LISTED:
                raise RequestError(
                    f"{source} was not exported from a cache: its list of files has {size(listed)}"
                )
            with zipfile.ZipFile(source) as archive:
                names = archive.namelist()
                if INDEX not in names or len(set(names)) < len(names) or len(names) > MOST_FILES:
                    raise RequestError(f"{source} was not exported from a cache")
                for name in {*names} - {INDEX}:
                    if Path(name).name != name or not can_hold_feature(Path(name)):
                        raise RequestError(f"{source} holds {name!r}, which is no file of a cache")
                needed = sum(file.file_size for file in archive.infolist())
                free = shutil.disk_usage(place).free
                if needed > free:
                    raise RequestError(f"{source} needs {size(needed)} unpacked, {size(free)} are free")
                archive.extractall(place)  # stops at each file's stated size and checks its CRC
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise RequestError(f"{source} cannot be read: {error}") from None
        yield Path(place)
