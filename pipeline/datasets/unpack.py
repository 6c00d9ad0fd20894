"""Unpack an archive, move a finished dataset into place."""

import filecmp
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestack.commandline.errors import NOT_WRITABLE, RequestError
from featurestack.commandline.terminal import progress
from featurestack.storage.files import Lock

UNFINISHED = ".unfinished"


@contextmanager
def staged(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield an empty folder to fill; then move the files that `folder` lacks of its
    `parts` into it, in this order; RequestError if one is there with other content.

    A failure before leaves `folder` as it was. The caller holds `making(folder)`.
    """
    stage = folder / UNFINISHED
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        yield stage
        lacking = []
        for part in parts:
            for file in (stage / part, *sorted((stage / part).rglob("*"))):
                place = folder / file.relative_to(stage)
                if not place.exists():
                    lacking.append((file, place))
                elif not same_content(file, place):
                    raise RequestError(
                        f"{place} is there with other content and is not replaced: move"
                        " it, or give another folder, DATA="
                    )
        for file, place in lacking:
            if file.is_dir():
                place.mkdir()
            else:
                file.replace(place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def same_content(file: Path, other: Path) -> bool:
    """Whether both are folders, or files of the same bytes."""
    if file.is_dir() or other.is_dir():
        return file.is_dir() and other.is_dir()
    return filecmp.cmp(file, other, shallow=False)


def making(folder: Path) -> Lock:
    """The lock for making a dataset; RequestError if nothing may be written."""
    try:
        return Lock(folder / ".making.lock")
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise RequestError(
            f"{folder} may not be written ({error.strerror}): DATA= names a folder of"
            " your own"
        ) from error


class Refused(RequestError):
    """An archive that is damaged, or holds unexpected files."""


def unpack(archive: Path, into: Path) -> None:
    """Unpack a zip into the new folder `into`; Refused if it is damaged."""
    into.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            # extract keeps every entry below the folder
            for entry in progress(zipped.infolist(), label="unpack", unit="files"):
                zipped.extract(entry, into)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Refused(f"{archive} is no whole zip archive: {error}") from None
