"""Zip archives from elsewhere, unpacked safely."""

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from featurestack.commandline.errors import NOT_WRITABLE, SYSTEM_FAILED, RequestError
from featurestack.commandline.quantities import size
from featurestack.commandline.terminal import progress

MOST_ENTRIES = 10_000  # ESC-50 has some 2,030
MOST_UNPACKED = 2 * 2**30  # bytes of all entries together
# bytes of the list of entries, which zipfile reads whole
MOST_LISTED = 1000 * MOST_ENTRIES
# zipfile's errors for a damaged archive; OSError comes from bzip2 and from positions
# outside the file.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
)


class Refused(RequestError):
    """An archive that is damaged, unsafe, or holds unexpected files."""


def listed_bytes(archive: Path) -> int:
    """The stated length of the list of entries; 0 if none is stated."""
    with archive.open("rb") as file:
        record = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private: ZipFile would read the list
    return record[zipfile._ECD_SIZE] if record else 0  # type: ignore[attr-defined]


def unpack(archive: Path, into: Path, most: float = MOST_UNPACKED) -> None:
    """Unpack a zip into the new folder `into`.

    most  the largest number of bytes of all files together

    Refused if it is no regular file, damaged or too large, or if it holds anything but
    plain files and folders; RequestError if the disk has too little room.

    zipfile writes no more of an entry than the zip declares; longer content fails its
    CRC and is refused.
    """
    if not archive.is_file():  # reading a device or a FIFO may never end
        raise Refused(f"{archive} is no regular file; expected a zip archive")
    into.mkdir()
    try:
        if (listed := listed_bytes(archive)) > MOST_LISTED:
            raise Refused(
                f"its list of entries has {size(listed)}, at most {size(MOST_LISTED)}"
                " are read"
            )
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            declared = sum(entry.file_size for entry in entries)
            free = shutil.disk_usage(into).free
            if len(entries) > MOST_ENTRIES or declared > most:
                allowed = f"at most {MOST_ENTRIES:,} of {size(most)} are unpacked"
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
