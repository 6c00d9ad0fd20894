"""Export and import: a cache's index and some or all of its features' files, bit for
bit, as one zip.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import progress
from featurestack.features_cache.feature_file import lock
from featurestack.features_cache.given_table import complete
from featurestack.features_cache.index import (
    can_hold_feature,
    feature_names,
    read_index,
)
from featurestack.features_cache.inspect import Verdict, verify_cache
from featurestack.features_cache.location import (
    INDEX,
    cache_folders,
    feature_path,
    is_cache,
)
from featurestack.features_cache.structure import refresh
from featurestack.features_cache.writer import written_to
from featurestack.storage.archives import MOST_UNPACKED, Refused, unpack
from featurestack.storage.files import ended_drafts, own_draft, replaced
from featurestack.storage.system import sync

DRAFT = ".import"  # begins the names of folders into which imports unpack


def is_export(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return INDEX in archive.namelist()
    except zipfile.BadZipFile:
        return False


def export_features(folder: Path, features: Sequence[str], target: Path) -> None:
    """Write the index and these features to `target`; RequestError if one is damaged or
    being written, or if the target's name ends otherwise than in .zip or another file
    has it.
    """
    if target.suffix != ".zip":
        raise RequestError(f"FILE={target}: expected a name that ends in .zip")
    if target.is_file() and not is_export(target):
        raise RequestError(
            f"{target} holds no features and is not replaced: give another FILE"
        )
    folders = cache_folders(folder)
    for name in features:
        if writer := written_to(feature_path(folders, name).parent, name):
            raise RequestError(
                f"{name} is being written by {writer}; wait for it to end"
            )
    wrong = [
        verdict.name for verdict in verify_cache(folder, features) if not verdict.intact
    ]
    if wrong:
        raise RequestError(
            f"{', '.join(wrong)} not intact; {make_command('features_cache verify')}"
            f" says why, {make_command('features')} mends it"
        )
    with (
        replaced(target) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in progress(
            [INDEX, *(f"{name}.h5" for name in features)], label="export", unit="files"
        ):
            archive.write(feature_path(folders, Path(name).stem), name)


def import_features(
    source: Path,
    folder: Path,
    most: float = MOST_UNPACKED,
) -> list[str]:
    """Put the features of an exported file into a cache, which is made if there is
    none; return their names.

    most  the largest number of bytes that are unpacked

    RequestError, and nothing is imported, if the file is damaged, or if the cache has
    other settings (source, sample rate, …) or one of the features already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with unpacked(source, folder.parent, most) as files:
        if wrong := [
            verdict.text for verdict in verify_cache(files) if not verdict.intact
        ]:
            raise RequestError(
                f"{source}: {wrong[0]}; nothing was imported, export the features again"
            )
        clips, settings = read_index(files)
        complete(clips)
        if is_cache(folder):
            clips, present = read_index(folder)
            if present != settings:
                raise RequestError(
                    f"{folder} is a cache of {present}, {source} one of {settings};"
                    " give NAME="
                )
        names = feature_names(files)
        for name in names:
            if (folder / f"{name}.h5").exists():
                raise RequestError(
                    f"{folder} has {name} already; remove {name}.h5 first"
                )
        for name in names:
            with lock(folder, name):
                sync(files / f"{name}.h5")
                (files / f"{name}.h5").rename(folder / f"{name}.h5")
        sync(folder)
        refresh(folder, clips, settings)
    return names


def verify_export(source: Path) -> list[Verdict]:
    """Verdicts on the files in an exported zip."""
    try:
        with unpacked(source) as files:
            return verify_cache(files)
    except Refused as refusal:
        return [Verdict(source.name, str(refusal), False)]


@contextmanager
def unpacked(
    source: Path,
    beside: Path | None = None,
    most: float = MOST_UNPACKED,
) -> Iterator[Path]:
    """A temporary folder with the files of an exported cache; Refused if the zip holds
    anything else.

    Such folders of killed processes are removed.
    """
    parent = beside or Path(tempfile.gettempdir())
    for leftover in ended_drafts(parent, DRAFT):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = parent / own_draft(DRAFT)
    try:
        unpack(source, folder, most)
        for path in folder.iterdir():
            if path.name != INDEX and not can_hold_feature(path):
                raise Refused(
                    f"{source} holds {path.name!r}, which is no file of a cache"
                )
        if not is_cache(folder):
            raise Refused(f"{source} was not exported from a cache")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if beside:
            with suppress(OSError):  # only an empty folder is removed
                beside.rmdir()
