"""`make runs` and `make remove`: the runs of some folders, and their removal."""

import glob
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.quantities import size
from featurestack.commandline.terminal import tell, text_table
from featurestack.features_cache.names import dataset_name
from featurestack.results.folders import (
    OWN_FILES,
    RETRAINING,
    find,
    hidden,
    locked,
    remove_own,
)
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.results.selection import select
from featurestack.storage.files import is_closed
from featurestack.train.options import ListOptions, RemoveOptions

HEADER = ("folder", "features", "model", "folds", "test")
Row = tuple[str, ...]


# ---- runs


def list_runs(options: ListOptions) -> int:
    """The command `runs`; 1 if a run cannot be read: it is named, and the others are
    listed.
    """
    rows: list[Row] = []
    problems: dict[str, None] = {}
    for folder in run_folders(options.runs):
        runs = runs_in(folder)
        if not runs:
            tell(f"no runs in {folder}")
        for run in runs:
            try:
                rows.append(described(run))
            except (RequestError, OSError) as error:
                problems[str(error)] = None
        rows += [(str(place), "", "", "", "") for place in filled_by_rooms(folder)]
    if rows:
        print(text_table(sorted(rows), HEADER))
        print(f"\n{make_command('remove', 'RUN=NAME')} deletes a run")
    for problem in problems:
        tell(problem)
    return int(bool(problems))


def described(run: RunFolder) -> Row:
    """A run's row of the list."""
    config = run.config
    score = ""
    if run.finished:
        score = f"{run.task.metric.title} {configuration_score([run])}"
    folds = f"{len(run.finished)} of {len(run.folds)}"
    return str(run.path), config.features, config.model, folds, score


def run_folders(text: str) -> list[Path]:
    """The folders in RUNS; RequestError if one of several is not there."""
    if Path(text).exists():
        return [Path(text)]
    try:
        folders = [Path(word) for word in shlex.split(text)]
    except ValueError as error:
        raise RequestError(f"RUNS={text}: {str(error).lower()}") from None
    absent = [folder for folder in folders if not folder.is_dir()]
    if absent and len(folders) > 1:
        raise RequestError(f"RUNS={text}: there is no folder {absent[0]}")
    return folders or [Path()]


def runs_in(folder: Path) -> list[RunFolder]:
    """The runs of a folder that is a run, holds runs, or holds datasets of runs; among
    them folders that may not be read.
    """
    if is_closed(folder) or (folder / "run.json").exists():
        return [RunFolder(folder)]
    places = [place for place in folder.glob("*") if is_closed(place)]
    files = folder.glob("[!.]*/run.json")
    places += [file.parent for file in files] or [run.path for run in find(folder)]
    return [RunFolder(place) for place in sorted(places)]


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


# ---- remove


def remove_runs(options: RemoveOptions) -> int:
    """Name the files, ask, and delete; 1 if nothing was deleted."""
    folders = dict(named_folders(options))
    with locked(*folders):
        for folder in folders:
            files = [file for file in folder.rglob("*") if file.is_file()]
            sizes = [file.stat().st_size for file in files]
            print(f"{folder}: {len(sizes)} files, {size(sum(sizes))}")
        answer = ""
        with suppress(EOFError):  # no answer: standard input has ended
            answer = input("remove? [y/N] ")
        if answer.strip().lower() != "y":
            print("nothing was removed: the answer y removes them")
            return 1
        for folder, own in folders.items():
            for file in remove_own(folder, own):
                print(f"{file} stays: it is not of the run")
    print("removed")
    return 0


def named_folders(options: RemoveOptions) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folders that RUN names, with the patterns of their own files; a retraining
    that was begun goes with its run.
    """
    dataset = dataset_name(options.dataset)
    words = options.run.split()
    for place, own in filled_by_rooms(options.runs, dataset).items():
        names = (place.name, f"{place.parent.name}/{place.name}", str(place))
        for word in {*names} & {*words}:
            words.remove(word)
            yield place, own
            if not words:
                return
    wanted = options.run if words == options.run.split() else " ".join(words)
    for run in select(options.runs, wanted, dataset):
        yield run.path, OWN_FILES
        begun = hidden(run.path, RETRAINING)
        if begun.is_dir():
            yield begun, OWN_FILES
