"""The folders of runs below RUNS: found, locked, replaced, removed."""

import glob
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from featurestack.results.run_folder import RunFolder
from featurestack.storage.files import Lock, may_read, require_readable

# all files of a run folder: others are the user's, and stay when a run goes
OWN_FILES = (
    *("run.json", "features.csv", "scores-*.csv", ".*", "fold*/.*"),
    *("fold*/history.csv", "fold*/predictions*.csv", "fold*/last.pt"),
    *("fold*/best.pt", "fold*/frames.npz", "trackers/**/*"),
)
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


# ---- replaced and removed


def hidden(run: Path, ending: str) -> Path:
    """The hidden folder of this ending beside a run."""
    return run.with_name(f".{run.name}{ending}")


@contextmanager
def locked(*folders: Path) -> Iterator[None]:
    """The locks of these folders and of their folds; RequestError if one is in use."""
    with ExitStack() as locks:
        for folder in folders:
            for busy in (folder, *folder.glob("fold*")):
                message = f"{busy} is being trained or filled by another process"
                locks.enter_context(Lock(busy / ".lock", busy=message))
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
    for file in remove_own(replaced):
        place = run / file.relative_to(replaced)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
    remove_own(replaced)


def remove_own(run: Path, own: Sequence[str] = OWN_FILES) -> list[Path]:
    """Remove a run's files, and its folders that are then empty; returns the files
    that stay, which are the user's. The file by which it is known goes first: what is
    half removed is no run.
    """
    for pattern in own:
        for file in run.glob(pattern):
            if not file.is_dir():
                file.unlink(missing_ok=True)
    below = sorted(run.rglob("*"), reverse=True)
    for folder in (*below, run):
        if folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # it is not empty
                folder.rmdir()
    return [file for file in below if file.is_symlink() or file.is_file()]
