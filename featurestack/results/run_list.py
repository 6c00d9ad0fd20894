"""`make runs` and `make remove`: list and delete runs."""

import glob
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from featurestack.base.errors import RequestError
from featurestack.base.own_files import RECORD, OwnFiles
from featurestack.base.quantities import counted, size
from featurestack.base.shell import make_command
from featurestack.base.terminal import tell, text_table
from featurestack.features_cache.identity import Identity
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.options import ListOptions, RemoveOptions
from featurestack.results.run_folder import RunFolder, adopt, find, locked, tested_run
from featurestack.results.run_names import select
from featurestack.results.same_run import of_other_data

HEADER = ("folder", "features", "model", "folds", "test", "data")


# ---- runs


def list_runs(options: ListOptions) -> int:
    """The command `runs`: list the runs, the newest last, without those of the folds of
    an answer. Return 1 if a run cannot be read; it is named after the list.
    """
    dataset = named_dataset(options.dataset, options.data, options.name)
    name, _ = dataset
    runs = find(options.runs, *dataset)
    other = of_other_data(runs, options.data)
    rows: dict[RunFolder, tuple[str, ...]] = {}
    problems = []
    for run in runs:
        try:
            rows[run] = row_of(run, older=run in other)
        except (RequestError, OSError) as error:
            problems.append(str(error))
    parts = only_of_folds([*rows])
    latest_last = sorted(rows, key=lambda run: (run.path / "run.json").stat().st_mtime)
    if listed := [rows[run] for run in latest_last if run not in parts]:
        several = any(age for *_, age in listed)  # else the last column is empty
        columns = len(HEADER) if several else len(HEADER) - 1
        print(text_table([row[:columns] for row in listed], HEADER[:columns]))
        print(f"\n{make_command('remove', 'RUN=FOLDER')} deletes a run")
    elif not problems:
        tell(f"no runs{name and f' of {name}'} in {options.runs}")
    if parts:
        every = counted(len(rows), "run")
        print(f"{len(listed)} of {every}; answers have {len(parts)} more, by fold")
    if older := sum(bool(age) for *_, age in rows.values()):
        number = counted(older, "run")
        print(f"older, {number} in all: clips, labels, folds or values have changed")
    for problem in problems:
        tell(problem)
    return int(bool(problems))


def row_of(run: RunFolder, *, older: bool) -> tuple[str, ...]:
    """The cells of a run's row; RequestError if the run cannot be read."""
    config, score = run.config, ""
    if run.finished:
        predictions = tested_run([run])
        score = f"{predictions.metric.title} {predictions.score}"
    folds = f"{len(run.finished)} of {len(run.folds)}"
    age = "older" if older else ""
    return str(run.path), config.features, config.model, folds, score, age


def only_of_folds(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """The runs that were trained for some folds of an answer only."""
    members = {run.path.with_name(name) for run in runs for name in run.config.members}
    return [run for run in runs if run.path in members and run.finished != run.folds]


# ---- remove


def tables_called(
    name: str, runs: Path, dataset: str, identity: Identity | None
) -> list[Path]:
    """The folders of this name that a command wrote and that are no runs, importance
    and fits, of one dataset or of all; none for a path.
    """
    if not re.fullmatch(r"[^./][^/]*", name):
        return []
    folders = runs.glob(f"{glob.escape(dataset) or '*'}/{glob.escape(name)}")
    written = []
    for folder in folders:
        if (folder / RECORD).is_file() and not (folder / "run.json").exists():
            owner = OwnFiles(folder).identity
            if not (identity and owner) or identity.has_made(Identity.parse(owner)):
                written.append(folder)
    return written


def remove_runs(options: RemoveOptions) -> int:
    """Count the files, ask, and delete them; return 1 if a script does not say yes."""
    dataset = named_dataset(options.dataset, options.data, options.name)
    runs: list[RunFolder] = []
    if options.old:
        runs += of_other_data(find(options.runs, *dataset), options.data)
    folders = tables_called(options.run, options.runs, *dataset)
    if not folders and (options.run or not options.old):
        runs += select(options.runs, options.run, *dataset, data=options.data)
    folders += list(dict.fromkeys(run.path for run in runs))
    if not folders:
        print("no run was trained on data that have changed since")
        return 0
    for folder in folders:
        adopt(folder)
        if not (folder / RECORD).is_file() and any(folder.glob("*")):
            raise RequestError(
                f"{folder} has no {RECORD}, which lists the files that this program"
                " wrote, so nothing in it is removed: delete it by hand"
            )
    with locked(*folders):
        for folder in folders:
            files = [folder / name for name in OwnFiles(folder).hashes]
            sizes = [file.stat().st_size for file in files if file.is_file()]
            print(f"{folder}: {counted(len(sizes), 'file')}, {size(sum(sizes))}")
        answer = "y" if options.yes else ""
        with suppress(EOFError):  # standard input has ended: no answer
            answer = answer or input("remove? [y/N] ")
        if answer.strip().lower() != "y":
            print("nothing was removed: answer y, or give YES=1, to remove them")
            return int(not sys.stdin.isatty())
        for folder in folders:
            for file in OwnFiles(folder).remove():
                print(f"{file} stays: it is not part of the run")
    print("removed")
    return 0
