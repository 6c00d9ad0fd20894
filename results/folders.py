"""The folders of runs below RUNS: found, chosen by RUN=, locked, replaced, removed."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError, make_command, nearest
from featurestack.results.run_folder import RunFolder
from featurestack.storage.files import Lock, is_file, may_read, require_readable

T = TypeVar("T")

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


def filled_by_rooms(runs: Path | str, dataset: str = "") -> dict[Path, tuple[str, ...]]:
    """The folders beside runs that commands of rooms have filled -> patterns of their
    own files.
    """
    folders = glob.escape(dataset) or "*"
    return {
        place.parent: (*files, ".*")
        for name, files in rooms.filled_folders().items()
        for place in sorted(Path(runs).glob(f"{folders}/{name}/{files[0]}"))
    }


# ---- RUN=


def select(
    runs: Path | str, wanted: str, dataset: str = "", *, predicting: bool = False
) -> list[RunFolder]:
    """The runs that the words of `wanted` name: each a name, a path, a unique prefix of
    a name, or `last`.

    `dataset/name` distinguishes runs of the same name; a single name or path may hold
    blanks. If `predicting`, `last` is the last run that has weights of its own, if
    there is one: ensembles of finished runs and choices of features have none.
    """
    found = find(runs, dataset)
    known = {f"{run.path.parent.name}/{run.name}": run for run in found}
    words = wanted.split()
    if wanted in known or _is_run(wanted):
        words = [wanted]
    if not words:
        raise RequestError(
            "RUN names no run: give a run's name, its path, a unique prefix, or last"
        )
    chosen = {}
    for word in words:
        if word == "last" and known:
            able = [run for run in known.values() if predicting and has_weights(run)]
            run = max(able or known.values(), key=_written)
        elif _is_run(word):
            run = RunFolder(Path(word))
        elif not known:
            place = Path(runs, dataset)
            for folder in [place] if dataset else sorted(place.glob("*")):
                require_readable(folder)
            raise RequestError(
                f"RUN={word}: no run folder in {place}: train one first"
                f" ({make_command('train')})"
            )
        else:
            run = fitting(word, known)
        chosen[run.path.resolve()] = run
    return list(chosen.values())


def fitting(word: str, known: Mapping[str, T], what: str = "run") -> T:
    """The entry of this name or beginning; RequestError if not just one."""
    begun = [name for name in known if f"/{word}" in f"/{name}"]
    whole = [name for name in begun if f"/{name}".endswith(f"/{word}")]
    names = whole or begun
    if not names:
        known_names = [name.partition("/")[2] for name in known]
        raise RequestError(nearest(what, word, known_names))
    if len(names) > 1:
        raise RequestError(
            f"RUN={word} fits {len(names)} {what}s: give one of {', '.join(names)}"
        )
    return known[names[0]]


def select_one(
    runs: Path | str,
    wanted: str,
    dataset: str = "",
    *,
    predicting: bool = True,
) -> RunFolder:
    """The run that `wanted` names as in `select`; RequestError if it names several."""
    endings = ("pt", *rooms.names("files"))  # bundles and a room's files
    if Path(wanted).suffix.removeprefix(".") in endings:
        raise RequestError(f"RUN={wanted}: there is no such file")
    chosen = select(runs, wanted, dataset, predicting=predicting)
    if len(chosen) > 1:
        raise RequestError(f"RUN={wanted} names {len(chosen)} runs: name one")
    return chosen[0]


def has_weights(run: RunFolder) -> bool:
    """Whether a finished fold has its weights."""
    return any(
        (fold / "last.pt").is_file() and (fold / "predictions.csv").is_file()
        for fold in run.path.glob("fold*")
    )


def _written(run: RunFolder) -> float:
    """When run.json was written; 0 if the folder may not be read."""
    return (run.path / "run.json").stat().st_mtime if may_read(run.path) else 0.0


def _is_run(path: str) -> bool:
    """Whether this is the path of a run, or of a folder that may not be read."""
    # Path's is_dir raises if the name is too long for a file
    if os.path.isdir(path) and not may_read(Path(path)):  # noqa: PTH112
        return True
    return is_file(f"{path}/run.json")


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
