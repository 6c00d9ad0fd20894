"""Put a dataset's folders in place whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commandline import RequestError
from features_cache.storage import Lock

UNFINISHED = ".unfinished"


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
        raise RequestError(f"{folder} cannot be filled: {error.strerror or error}") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
