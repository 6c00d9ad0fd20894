"""Unpack a zip from somewhere else: bounded, inside its folder, plain files only."""

import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from commandline import RequestError, progress, size

MOST_BYTES = 2 * 2**30  # unpacked; ESC-50 has 0.9 GB
MOST_ENTRIES = 10_000  # ESC-50 has some 2,030
MOST_LISTING = 4 * 2**20  # bytes of the zip's own list of entries, which is read into memory at once
BLOCK = 2**20
END_OF_LISTING = b"PK\x05\x06"


class Refused(RequestError):
    """An archive that is damaged, unsafe, or not what was expected."""


def unpack(archive: Path, into: Path) -> None:
    """Every file of a zip into the new folder `into`; Refused where it is anything but plain files.

    Bytes and entries are counted while unpacking, whatever the zip says of itself.
    """
    into.mkdir()
    try:
        _refuse_long_listing(archive)
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            _refuse_at_once(archive, entries, into)
            _unpack(file, entries, archive, into)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise Refused(f"{archive} is no whole zip archive: {error}") from None
    except (OSError, UnicodeError) as error:
        raise RequestError(f"{archive} cannot be unpacked into {into}: {error}") from None


def _refuse_long_listing(archive: Path) -> None:
    """Before zipfile reads the whole list of entries: its declared length, from the end of the archive."""
    with archive.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - 2**16 - 22))
        tail = file.read()
    start = tail.rfind(END_OF_LISTING)
    if start < 0 or len(tail) < start + 22:
        raise zipfile.BadZipFile("it has no list of its entries at the end, so it is cut off, or no zip")
    (listing,) = struct.unpack_from("<I", tail, start + 12)
    if listing > MOST_LISTING:
        raise Refused(f"{archive} is refused: it lists more than {MOST_ENTRIES:,} entries")


def _refuse_at_once(archive: Path, entries: list[zipfile.ZipInfo], into: Path) -> None:
    """What the list of entries shows before a byte is written."""
    if len(entries) > MOST_ENTRIES:
        raise Refused(
            f"{archive} is refused: {len(entries):,} entries, at most {MOST_ENTRIES:,} are unpacked"
        )
    declared = sum(entry.file_size for entry in entries)
    if declared > MOST_BYTES:
        raise Refused(
            f"{archive} is refused: {size(declared)} unpacked, at most {size(MOST_BYTES)} are allowed"
        )
    free = shutil.disk_usage(into).free
    if declared > free:
        raise RequestError(f"{into} has {size(free)} free, and {archive} needs {size(declared)} unpacked")
    for entry in entries:
        _refuse_entry(archive, entry)


def _refuse_entry(archive: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or ":" in name
        or "\0" in name
        or not path.parts
    ):
        raise Refused(f"{archive} is refused: the entry {name!r} leads outside its folder")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{archive} is refused: the entry {name!r} is a link or device, not a file")
    if entry.flag_bits & 1:
        raise Refused(f"{archive} is refused: the entry {name!r} is encrypted")


def _unpack(file: zipfile.ZipFile, entries: list[zipfile.ZipInfo], archive: Path, into: Path) -> None:
    left = MOST_BYTES
    for entry in progress(entries, label="unpack", unit="files"):
        target = into / entry.filename
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(entry) as source, target.open("xb") as copy:
            while block := source.read(BLOCK):
                left -= len(block)
                if left < 0:
                    raise Refused(f"{archive} is refused: it unpacks to more than {size(MOST_BYTES)}")
                copy.write(block)
