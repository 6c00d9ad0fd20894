"""The folders of runs below RUNS: found, locked, replaced, removed."""

import glob
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
# endings of two hidden folders that RETRAIN=1 makes beside a run: the new run in
# training, and the old run while they are exchanged
RETRAINING, RETRAINED = ".retraining", ".replaced"


def find(runs: Path | str, dataset: str = "") -> list[RunFolder]:
    """The run folders below `runs`, of one dataset or of all, sorted by path; folders
    that may not be read are among them, since they may be runs.
    """
    require_readable(Path(runs))
    folders = glob.escape(dataset) or "*"
    for replaced in Path(runs).glob(f"{folders}/.*{RETRAINED}"):
        finish_switch(replaced.with_name(replaced.name[1 : -len(RETRAINED)]))
    found = []
    for path in sorted(Path(runs).glob(f"{folders}/[!.]*")):
        unknown = path.is_dir() and not may_read(path)
        if unknown or (path / "run.json").exists():
            found.append(RunFolder(path))
    return found


# ---- made, replaced and removed


def claim_run(
    folder: Path, folds: Iterable[int], *others: str, begun: bool = False
) -> None:
    """Take the names of a run's files, and these others; RequestError if the user has
    one of them. What is in a run that has `begun` is the run's.
    """
    of_folds = [f"fold{fold}/{name}" for fold in folds for name in OF_FOLD]
    own = OwnFiles(folder)
    own.claim([*OF_RUN, *others, *of_folds], OTHER_RUN, lambda file: begun)


def hidden(run: Path, ending: str) -> Path:
    """The hidden folder of this ending beside a run."""
    return run.with_name(f".{run.name}{ending}")


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


def finish_switch(run: Path) -> None:
    """Finish the exchange of a run for its retraining, if a kill interrupted it and no
    other process is at it.
    """
    replaced = hidden(run, RETRAINED)
    retrained = hidden(run, RETRAINING)
    if not replaced.exists():
        return
    with ExitStack() as locks:
        for fold in replaced.glob("fold*"):
            lock = Lock(fold / ".lock")
            locks.callback(lock.release)
            if not lock.take():
                return
        if not run.exists():  # killed between the two renames
            (retrained if retrained.exists() else replaced).rename(run)
        settle(replaced, run)


def settle(replaced: Path, run: Path) -> None:
    """Remove a run that another has replaced, whose folder gets the user's files."""
    for file in OwnFiles(replaced).remove():
        place = run / file.relative_to(replaced)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
            with suppress(OSError):  # it is not empty
                file.parent.rmdir()
    with suppress(OSError):
        replaced.rmdir()
