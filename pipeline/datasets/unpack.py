"""Unpack an archive safely, move a finished dataset into place."""

import filecmp
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from featurestack.commandline.errors import NOT_WRITABLE, SYSTEM_FAILED, RequestError
from featurestack.commandline.quantities import size
from featurestack.commandline.terminal import progress
from featurestack.storage.files import Lock

UNFINISHED = ".unfinished"
MOST_ENTRIES = 10_000  # ESC-50 has some 2,030
MOST_UNPACKED = 2 * 2**30  # bytes of all entries together
# zipfile's errors for a damaged archive; OSError is of bzip2 and of wrong positions
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
)


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
    """An archive that is damaged, unsafe, or holds unexpected files."""


def unpack(archive: Path, into: Path) -> None:
    """Unpack a zip of at most MOST_UNPACKED bytes into the new folder `into`; Refused
    if it holds anything but plain files and folders below it.
    """
    if not archive.is_file():  # reading a device or a FIFO may never end
        raise Refused(f"{archive} is no regular file; expected a zip archive")
    into.mkdir()
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            declared = sum(entry.file_size for entry in entries)
            free = shutil.disk_usage(into).free
            if len(entries) > MOST_ENTRIES or declared > MOST_UNPACKED:
                allowed = (
                    f"at most {MOST_ENTRIES:,} of {size(MOST_UNPACKED)} are unpacked"
                )
                raise Refused(
                    f"{len(entries):,} entries of {size(declared)}, {allowed}"
                )
            if declared > free:
                raise RequestError(
                    f"{into} has {size(free)} free, and {archive} needs"
                    f" {size(declared)} unpacked"
                )
            for entry in entries:
                name = entry.orig_filename
                kind = stat.S_IFMT(entry.external_attr >> 16)
                parts = PurePosixPath(name).parts
                if not parts or ".." in parts or re.search(r"^/|[\\:\0]", name):
                    raise Refused(f"the entry {name!r} leads outside its folder")
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & 1:
                    raise Refused(f"{name!r} is a link, a device or encrypted")
            for entry in progress(entries, label="unpack", unit="files"):
                zipped.extract(entry, into)
    except Refused as error:
        raise Refused(f"{archive} is refused: {error}") from None
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno in (
            *SYSTEM_FAILED,
            *NOT_WRITABLE,
        ):
            raise
        raise Refused(f"{archive} is no whole zip archive: {error}") from None
