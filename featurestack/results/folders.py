"""The folders of runs below RUNS: found, made, locked."""

import glob
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from featurestack.results.run_folder import RunFolder
from featurestack.storage.files import Lock, may_read, require_readable
from featurestack.storage.own_files import OwnFiles

# names of the files in a run folder, and in each of its folds
OF_RUN = ("run.json", ".lock")
OF_FOLD = (
    ".lock",
    "history.csv",
    "predictions.csv",
    "last.pt",
    "best.pt",
    "frames.npz",
)
OTHER_RUN = "move it, or give another RUNS or TAG"


def find(runs: Path | str, dataset: str = "") -> list[RunFolder]:
    """The run folders below `runs`, of one dataset or of all, sorted by path; folders
    that may not be read are among them, since they may be runs.
    """
    require_readable(Path(runs))
    folders = glob.escape(dataset) or "*"
    found = []
    for path in sorted(Path(runs).glob(f"{folders}/[!.]*")):
        unknown = path.is_dir() and not may_read(path)
        if unknown or (path / "run.json").exists():
            found.append(RunFolder(path))
    return found


# ---- made and locked


def claim_run(
    folder: Path, folds: Iterable[int], *others: str, begun: bool = False
) -> None:
    """Take the names of a run's files, and these others; RequestError if the user has
    one of them. What is in a run that has `begun` is the run's.
    """
    of_folds = [f"fold{fold}/{name}" for fold in folds for name in OF_FOLD]
    own = OwnFiles(folder)
    own.claim([*OF_RUN, *others, *of_folds], OTHER_RUN, lambda file: begun)


@contextmanager
def locked(*folders: Path) -> Iterator[None]:
    """The locks of these folders and of their folds; RequestError if one is in use."""
    with ExitStack() as locks:
        for folder in folders:
            for name in OwnFiles(folder).hashes:
                file = folder / name
                if file.name == ".lock" and file.is_file():
                    message = f"{file.parent} is being trained by another process"
                    locks.enter_context(Lock(file, create=False, busy=message))
        yield
