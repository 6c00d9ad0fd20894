"""Files are downloaded whole or not at all; a broken connection is tried again.

pooch, which librosa brings, leaves a part under a random name after a kill, and asks
again for an address that does not exist.
"""

import time
from collections.abc import Callable
from pathlib import Path

from featurestack.base import files
from featurestack.base.errors import RequestError
from featurestack.base.terminal import progress, tell

TIMEOUT = (15, 60)  # seconds to connect, seconds between bytes
PAUSES = (2, 8)  # seconds before a broken connection is tried again
DOWNLOAD_BYTES = 2**18  # bytes


def part_of(to: Path) -> Path:
    """The file of a download that is not complete yet."""
    return to.with_name(f".{to.name}.part")


def download(
    url: str,
    to: Path,
    *,
    other_ways: str,
    check: Callable[[Path], None] = lambda draft: None,
    patient: bool = True,
) -> None:
    """Download `url` to the file `to`, which appears when it is complete and `check`
    has raised nothing for it. The RequestError for what cannot be fetched ends
    with `other_ways`; a broken connection is tried again if `patient`.
    """
    import requests

    part = part_of(to)
    for pause in (*(PAUSES if patient else ()), None):
        try:
            fetch(url, part)
            break
        except requests.RequestException as error:
            cause: BaseException = error
            # urllib3 and requests wrap the first error several times
            while cause.__context__:
                cause = cause.__context__
            reason = f"{url} cannot be fetched: {' '.join(str(cause).split())}"
            # a wrong address stays wrong
            wrong = isinstance(error, requests.HTTPError | ValueError)
        if wrong or pause is None:
            part.unlink(missing_ok=True)
            raise RequestError(f"{reason}. {other_ways}")
        tell(f"{reason}; trying again in {pause:g} s")
        time.sleep(pause)
    try:
        check(part)
    except RequestError:
        part.unlink()
        raise
    files.sync(part)
    part.replace(to)


def fetch(url: str, part: Path) -> None:
    """Write the answer of `url` to the file `part`; a busy server is an error that
    passes.
    """
    import requests

    with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code >= 500:
            raise requests.ConnectionError(f"{answer.status_code} {answer.reason}")
        answer.raise_for_status()
        length = int(answer.headers.get("Content-Length", 0))
        bar = progress(total=length or None, label=url.rpartition("/")[2], unit="B")
        bar.unit_scale = True
        part.parent.mkdir(parents=True, exist_ok=True)
        with bar, part.open("wb") as file:
            for block in answer.iter_content(DOWNLOAD_BYTES):
                file.write(block)
                bar.update(len(block))
