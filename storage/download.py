"""Files are downloaded whole or not at all. A download that was broken off begins anew.

pooch, which librosa brings, does the same, but leaves a part under a random name after
a kill, and asks again for an address that does not exist.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.terminal import progress, tell
from featurestack.storage.files import replaced

TIMEOUT = (15, 60)  # seconds to connect, seconds between bytes
PAUSES = (2, 8)  # seconds before a broken connection is tried again
BLOCK = 2**18  # bytes


def download(
    url: str,
    to: Path,
    *,
    other_ways: str,
    check: Callable[[Path], None] = lambda draft: None,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Download `url` to the file `to`, which appears when it is complete and `check`
    has raised nothing for its draft. The RequestError for what cannot be fetched ends
    with `other_ways`; a connection that broke is tried again after each of `pauses`.
    """
    import requests

    to.parent.mkdir(parents=True, exist_ok=True)
    for pause in (*pauses, None):
        try:
            with replaced(to, locked=False) as draft:
                fetch(url, draft)
                check(draft)
            return
        except requests.RequestException as error:
            cause: BaseException = error
            # urllib3 and requests wrap the first error several times
            while cause.__context__:
                cause = cause.__context__
            reason = f"{url} cannot be fetched: {' '.join(str(cause).split())}"
            # a wrong address stays wrong
            wrong = isinstance(error, requests.HTTPError | ValueError)
        if wrong or pause is None:
            raise RequestError(f"{reason}. {other_ways}")
        tell(f"{reason}; trying again in {pause:g} s")
        time.sleep(pause)


def fetch(url: str, to: Path) -> None:
    """Write the answer of `url` to the file `to`; a busy server is an error that
    passes.
    """
    import requests

    with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code >= 500:
            raise requests.ConnectionError(f"{answer.status_code} {answer.reason}")
        answer.raise_for_status()
        length = int(answer.headers.get("Content-Length", 0))
        bar = progress(total=length or None, label=to.name, unit="B")
        bar.unit_scale = True
        with bar, to.open("wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
