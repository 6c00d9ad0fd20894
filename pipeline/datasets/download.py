"""Download a large file over HTTP, and move a finished dataset into its folder."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestack.commandline.errors import NOT_WRITABLE, RequestError
from featurestack.commandline.quantities import size
from featurestack.commandline.terminal import progress, tell
from featurestack.storage.files import Lock, refuse_special

TIMEOUT = (15, 60)  # seconds to connect, seconds between bytes
PAUSES = (2, 8)  # seconds before a broken connection is tried again
MOST_FETCHED = 2 * 2**30  # bytes
BLOCK = 2**18
OTHER_WAYS = "URL= takes another address, ARCHIVE= a zip that is already there"
UNFINISHED = ".unfinished"


def download_file(url: str, to: Path, *, other_ways: str = OTHER_WAYS) -> None:
    """Download `url` to the file `to`, which appears when it is complete.

    A broken connection is tried again after PAUSES. The bytes that arrived stay in
    `<to>.part`. If the server supports range requests, the next call continues from
    them; otherwise it begins again. The server's file may change in between, so callers
    must check the content. RequestError if the file cannot be fetched.
    """
    import requests

    # requests does not convert it in raw reads
    from urllib3.exceptions import HTTPError

    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(to.name + ".part")
    for pause in (*PAUSES, None):
        try:
            _fetch(url, part)
            part.replace(to)
            return
        except (requests.RequestException, HTTPError) as error:
            cause: BaseException = error
            # urllib3 and requests wrap the first error several times
            while cause.__context__:
                cause = cause.__context__
            reason = f"{url} cannot be fetched: {' '.join(str(cause).split())}"
            # a wrong address stays wrong
            final = isinstance(error, requests.HTTPError | ValueError)
        if final or pause is None:
            again = (
                "; the same command goes on with what arrived" if part.exists() else ""
            )
            raise RequestError(f"{reason}{again}. {other_ways}")
        tell(f"{reason}; trying again in {pause:g} s")
        time.sleep(pause)


def _fetch(url: str, part: Path) -> None:
    """Append the missing bytes of `url` to `part`, or begin `part` again if the server
    cannot resume.
    """
    import requests

    refuse_special(part)
    begin = part.stat().st_size if part.exists() else 0
    # uncompressed, so that bytes can be counted
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={begin}-"} if begin else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
        # not the bytes that follow `part`
        if answer.status_code in (206, 416) and not resumed:
            part.unlink(missing_ok=True)
            raise requests.ConnectionError("the file at this address has changed")
        if answer.status_code >= 500:
            raise requests.ConnectionError(f"{answer.status_code} {answer.reason}")
        answer.raise_for_status()
        begin = begin if resumed else 0
        length = int(answer.headers.get("Content-Length", 0))
        total = length and begin + length
        free = shutil.disk_usage(part.parent).free
        if total > MOST_FETCHED or length > free:
            raise RequestError(
                f"{url} has {size(total)}; at most {size(MOST_FETCHED)} are fetched,"
                f" and {part.parent} has {size(free)} free"
            )
        bar = progress(total=total or None, label="download", unit="B", done=begin)
        bar.unit_scale = True
        with bar, part.open("ab" if resumed else "wb") as file:
            while block := answer.raw.read1(BLOCK):  # does not wait for a full block
                file.write(block)
                bar.update(len(block))
                if file.tell() > MOST_FETCHED:
                    raise RequestError(
                        f"the server sends more than {size(MOST_FETCHED)}, the limit"
                    )


@contextmanager
def staged(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield an empty folder to fill; then move its `parts` into `folder`, in this
    order.

    A failure before the moves leaves `folder` as it was. The next call removes what a
    killed process left. The caller must hold `making(folder)`.
    """
    stage = folder / UNFINISHED
    try:
        _remove(stage)
        stage.mkdir(parents=True)
        yield stage
        for part in reversed(parts):
            _remove(folder / part)
        for part in parts:
            (stage / part).replace(folder / part)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def making(folder: Path) -> Lock:
    """The lock of the process that makes the dataset in `folder`; other processes wait
    for it. RequestError if nothing may be written there.
    """
    try:
        return Lock(folder / ".making.lock")
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise RequestError(
            f"{folder} may not be written ({error.strerror}): DATA= names a folder of"
            " your own"
        ) from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
