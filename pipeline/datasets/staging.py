"""Put a dataset's folders in place whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".unfinished-"


@contextmanager
def staged(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """An empty folder to fill; at the end its `parts` are renamed into `folder`, the last one last.

    The last part is there only when all are. What goes wrong leaves nothing; what a killed run left
    is removed by the next.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leavings(folder)
    stage = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder))
    try:
        yield stage
        shutil.rmtree(folder / parts[-1], ignore_errors=True)
        for part in parts:
            shutil.rmtree(folder / part, ignore_errors=True)
            (stage / part).replace(folder / part)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _remove_leavings(folder: Path) -> None:
    for leaving in folder.glob(f"{PREFIX}*"):
        process = int(leaving.name.removeprefix(PREFIX).split("-")[0])
        if not _alive(process):
            shutil.rmtree(leaving, ignore_errors=True)


def _alive(process: int) -> bool:
    import psutil

    return psutil.pid_exists(process)
