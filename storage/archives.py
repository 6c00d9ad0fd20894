"""Zip archives: how long their list of entries is, known before any of it is read."""

import struct
from pathlib import Path

END = b"PK\5\6"  # ends the list: the last 22 bytes of a file, before a comment
LOCATOR, END64 = b"PK\6\7", b"PK\6\6"  # likewise, of archives with many entries
LONGEST_END = 22 + 65_535


def listed_bytes(archive: Path) -> int:
    """The stated length of the list of entries, which zipfile reads whole; 0 if none is stated."""
    with archive.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - LONGEST_END - 20))
        tail = file.read()
        at = tail.rfind(END)
        if at < 0 or at + 22 > len(tail):
            return 0
        (size,) = struct.unpack_from("<I", tail, at + 12)
        if tail[max(0, at - 20) : at].startswith(LOCATOR):
            (start,) = struct.unpack_from("<Q", tail, at - 12)
            file.seek(min(start, length))
            record = file.read(56)
            if record.startswith(END64) and len(record) == 56:
                (size,) = struct.unpack_from("<Q", record, 40)
    return int(size)
