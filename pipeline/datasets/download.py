"""Fetch a large file over HTTP, unpack a zip safely, put a dataset's folders in place whole or not at all."""

import json
import re
import shutil
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from commandline.files import DISK_FAILED, Lock, not_written, refuse_special
from commandline.registry import RequestError
from commandline.terminal import progress, size

if TYPE_CHECKING:
    from requests import Response

ATTEMPTS = 5  # in a row that bring nothing new
WAIT = 1.0  # seconds before the second attempt; doubled before each one after
TIMEOUT = (15, 60)  # seconds to connect, and without a single byte
MOST_FETCHED = 2 * 2**30
BLOCK = 2**18
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers that another attempt may not get
OTHER_WAYS = "URL= takes another address, ARCHIVE= a zip that is already there"
MOST_UNPACKED = 2 * 2**30  # unpacked; ESC-50 has 0.9 GB
MOST_ENTRIES = 10_000  # ESC-50 has some 2,030
MOST_LISTING = 4 * 2**20  # bytes of the zip's own list of entries, which is read into memory at once
END_OF_LISTING = b"PK\x05\x06"
UNFINISHED = ".unfinished"


class PartialFile:
    """What has arrived of a file so far, and from where: `<file>.part` and a note beside it."""

    def __init__(self, file: Path) -> None:
        self.path = file.with_name(file.name + ".part")
        self.note = file.with_name(file.name + ".part.json")

    def length(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remember(self, url: str, answer: "Response") -> None:
        """Where the bytes come from, and the server's word for this version of the file, where it has one."""
        tag = answer.headers.get("ETag", "")
        validator = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
        self.note.write_text(json.dumps({"url": url, "validator": validator}))

    def origin(self) -> dict[str, str]:
        """What `remember` noted; nothing where there is no note that can be read."""
        try:
            return dict(json.loads(self.note.read_text()))
        except (OSError, ValueError):
            return {}

    def discard(self) -> None:
        """Begin again."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download_file(url: str, to: Path, label: str = "download") -> bool:
    """Download `url` to `to`, which appears only when it is complete; returns whether it was resumed.

    What arrived before the connection broke or the program was stopped is kept and gone on from, where
    the server can (range requests), else fetched again. RequestError says what went wrong when several
    attempts in a row bring nothing new.
    """
    import requests
    from urllib3.exceptions import HTTPError  # what requests lets through when it hands over single reads

    to.parent.mkdir(parents=True, exist_ok=True)
    refuse_special(to)
    part = PartialFile(to)
    if part.origin().get("url") != url:
        part.discard()
    most, fruitless, resumed = part.length(), 0, False
    while True:
        try:
            resumed |= _attempt(url, part, label)
            break
        except (
            requests.ConnectionError,
            requests.Timeout,
            HTTPError,
        ) as error:
            reason = _reason(error)
        except requests.RequestException as error:
            raise RequestError(f"{url} cannot be fetched: {_reason(error)}. {OTHER_WAYS}") from None
        except OSError as error:
            raise not_written(part.path, error) from None
        fruitless = 0 if part.length() > most else fruitless + 1
        most = max(most, part.length())
        if fruitless >= ATTEMPTS:
            kept = f"{size(part.length())} are kept, the same command goes on. " if part.length() else ""
            raise RequestError(f"{url} cannot be fetched: {reason} ({ATTEMPTS} attempts). {kept}{OTHER_WAYS}")
        time.sleep(WAIT * 2**fruitless)
    part.path.replace(to)
    part.discard()
    return resumed


def _attempt(url: str, part: PartialFile, label: str) -> bool:
    """One connection, to the end of the file; returns whether it went on from bytes that were there."""
    import requests

    there = part.length()
    headers = {"Accept-Encoding": "identity"}  # the bytes of the file itself, so that they can be counted
    if there:
        headers["Range"] = f"bytes={there}-"
        if validator := part.origin().get("validator"):
            headers["If-Range"] = validator
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        begin, total = _range(answer)
        if answer.status_code == 416 and total == there:
            return True  # stopped between the last byte and its new name
        if answer.status_code == 416 or (answer.status_code == 206 and begin != there):
            part.discard()
            raise requests.ConnectionError("the file at this address has changed; beginning again")
        if answer.status_code in PASSING:
            raise requests.ConnectionError(f"the server answers {answer.status_code} {answer.reason}")
        answer.raise_for_status()
        _refuse_size(total, total - begin, part)
        part.remember(url, answer)
        _receive(answer, part, begin, total, label)
    return begin > 0


def _range(answer: "Response") -> tuple[int, int]:
    """(first byte, size of the whole file or 0 where the server does not tell) of what an answer holds."""
    header = answer.headers.get("Content-Range", "")
    if match := re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", header.strip()):
        return int(match[1] or 0), int(match[2]) if match[2] != "*" else 0
    return 0, int(answer.headers.get("Content-Length", 0))


def _refuse_size(total: int, missing: int, part: PartialFile) -> None:
    if total > MOST_FETCHED:
        raise RequestError(
            f"the file there has {size(total)}; more than {size(MOST_FETCHED)} are not fetched"
        )
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise RequestError(f"{part.path.parent} has {size(free)} free, the download needs {size(missing)}")


def _receive(answer: "Response", part: PartialFile, begin: int, total: int, label: str) -> None:
    """Append to the part, or write it anew where the server begins at byte 0."""
    import requests

    bar = progress(total=total or None, label=label, unit="B")
    bar.unit_scale = True
    with bar, part.path.open("ab" if begin else "wb") as file:
        bar.update(begin)
        while block := answer.raw.read1(BLOCK):  # what is there already: a break loses nothing of it
            file.write(block)
            bar.update(len(block))
            if file.tell() > MOST_FETCHED:
                raise RequestError(f"the file there has more than {size(MOST_FETCHED)}, which is not fetched")
    if total and part.length() < total:
        raise requests.ConnectionError(f"the connection ended after {size(part.length())} of {size(total)}")


def _reason(error: Exception) -> str:
    """The innermost cause, on one line; urllib3 and requests wrap it several times."""
    inner: BaseException = error
    while nested := next((arg for arg in inner.args if isinstance(arg, BaseException)), None):
        inner = nested
    reason = getattr(inner, "reason", None)
    return " ".join(str(reason if isinstance(reason, BaseException) else inner).split())


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
            _write_entries(file, entries, archive, into)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise Refused(f"{archive} is no whole zip archive: {error}") from None
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FAILED:
            raise not_written(into, error) from None
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
    if declared > MOST_UNPACKED:
        raise Refused(
            f"{archive} is refused: {size(declared)} unpacked, at most {size(MOST_UNPACKED)} are allowed"
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


def _write_entries(file: zipfile.ZipFile, entries: list[zipfile.ZipInfo], archive: Path, into: Path) -> None:
    left = MOST_UNPACKED
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
                    raise Refused(f"{archive} is refused: it unpacks to more than {size(MOST_UNPACKED)}")
                copy.write(block)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process makes this dataset."""
    with Lock(folder / ".making.lock"):
        yield


@contextmanager
def staged(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """An empty folder to fill; at the end its `parts` are renamed into `folder`, the last one last.

    So the last part is there only when all are. What goes wrong leaves nothing, and what a killed run
    left is removed by the next one; `one_at_a_time` must be held.
    """
    stage = folder / UNFINISHED
    _remove(stage)
    try:
        stage.mkdir(parents=True)
        yield stage
        for part in reversed(parts):
            _remove(folder / part)
        for part in parts:
            (stage / part).replace(folder / part)
    except OSError as error:
        raise not_written(folder, error) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        refuse_special(path)
        path.unlink(missing_ok=True)
