"""Fetch one large file over HTTP, going on where a broken connection stopped."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from commandline import RequestError, progress, size

if TYPE_CHECKING:
    from requests import Response

ATTEMPTS = 5  # in a row that bring nothing new
WAIT = 1.0  # seconds before the second attempt; doubled before each one after
TIMEOUT = (15, 60)  # seconds to connect, and without a single byte
MOST_BYTES = 2 * 2**30
BLOCK = 2**18
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers that another attempt may not get
OTHER_WAYS = "URL= takes another address, ARCHIVE= a zip that is already there"


class Part:
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


def fetch(url: str, to: Path, label: str = "download") -> bool:
    """Download `url` to `to`, which appears only when it is complete; returns whether it was resumed.

    What arrived before the connection broke or the program was stopped is kept and gone on from, where
    the server can (range requests), else fetched again. RequestError says what went wrong when several
    attempts in a row bring nothing new.
    """
    import requests
    from urllib3.exceptions import HTTPError  # what requests lets through when it hands over single reads

    to.parent.mkdir(parents=True, exist_ok=True)
    part = Part(to)
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
            raise RequestError(f"{part.path} cannot be written: {error.strerror}") from None
        fruitless = 0 if part.length() > most else fruitless + 1
        most = max(most, part.length())
        if fruitless >= ATTEMPTS:
            kept = f"{size(part.length())} are kept, the same command goes on. " if part.length() else ""
            raise RequestError(f"{url} cannot be fetched: {reason} ({ATTEMPTS} attempts). {kept}{OTHER_WAYS}")
        time.sleep(WAIT * 2**fruitless)
    part.path.replace(to)
    part.discard()
    return resumed


def _attempt(url: str, part: Part, label: str) -> bool:
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


def _refuse_size(total: int, missing: int, part: Part) -> None:
    if total > MOST_BYTES:
        raise RequestError(f"the file there has {size(total)}; more than {size(MOST_BYTES)} are not fetched")
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise RequestError(f"{part.path.parent} has {size(free)} free, the download needs {size(missing)}")


def _receive(answer: "Response", part: Part, begin: int, total: int, label: str) -> None:
    """Append to the part, or write it anew where the server begins at byte 0."""
    import requests

    bar = progress(total=total or None, label=label, unit="B")
    bar.unit_scale = True
    with bar, part.path.open("ab" if begin else "wb") as file:
        bar.update(begin)
        while block := answer.raw.read1(BLOCK):  # what is there already: a break loses nothing of it
            file.write(block)
            bar.update(len(block))
            if file.tell() > MOST_BYTES:
                raise RequestError(f"the file there has more than {size(MOST_BYTES)}, which is not fetched")
    if total and part.length() < total:
        raise requests.ConnectionError(f"the connection ended after {size(part.length())} of {size(total)}")


def _reason(error: Exception) -> str:
    """The innermost cause, on one line; urllib3 and requests wrap it several times."""
    inner: BaseException = error
    while nested := next((arg for arg in inner.args if isinstance(arg, BaseException)), None):
        inner = nested
    reason = getattr(inner, "reason", None)
    return " ".join(str(reason if isinstance(reason, BaseException) else inner).split())
