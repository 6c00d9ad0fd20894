"""Runs by name: those that RUN= names, `make runs` and `make remove`. No torch."""

import glob
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from featurestack.base import DATA
from featurestack.base.errors import RequestError, closest, nearest
from featurestack.base.extras import MODEL_PLACES
from featurestack.base.files import is_file
from featurestack.base.own_files import RECORD, OwnFiles
from featurestack.base.quantities import counted, size
from featurestack.base.shell import make_command, quoted, unquoted
from featurestack.base.terminal import tell, tell_once, text_table
from featurestack.features_cache.identity import Identity
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.options import ListOptions, RemoveOptions
from featurestack.results.run_folder import (
    PREDICTIONS_FILE,
    RunFolder,
    adopt,
    find,
    locked,
    of_identity,
    tested_run,
)
from featurestack.results.same_run import of_other_data

HEADER = ("folder", "features", "model", "folds", "test", "data")


# ---- RUN=


def select(
    runs: Path | str,
    names: str,
    dataset: str = "",
    identity: Identity | None = None,
    *,
    predicting: bool = False,
    data: Path | str = DATA,
) -> list[RunFolder]:
    """The runs that the words of `names` name: each a name, a path, a unique prefix of
    a name, or `last`.

    With a dataset's name and identity they are runs of this dataset. `dataset/name`
    distinguishes runs of the same name; a single name or path may hold blanks. `last`
    and prefixes choose among the runs of today's data in `data`, if there are any. If
    `predicting`, they choose among runs with weights, which an answer lacks.
    """
    runs_by_name = {
        f"{run.path.parent.name}/{run.name}": run
        for run in find(runs, dataset, identity)
    }
    able = {}
    if predicting:
        for key, run in runs_by_name.items():
            folds = [file.parent for file in run.path.glob("fold*/last.pt")]
            if any((fold / PREDICTIONS_FILE).is_file() for fold in folds):
                able[key] = run
    able = able or runs_by_name
    words = unquoted(names)
    if names in runs_by_name or is_file(f"{names}/run.json"):
        words = [names]
    if not words:
        raise RequestError(
            "RUN= names no run: give a run's name, its path, a unique prefix, or last"
        )
    chosen = {}
    for word in words:
        if word == "last" and runs_by_name:
            current = current_runs(able, data).values()
            run = max(current, key=lambda run: (run.path / "run.json").stat().st_mtime)
        elif is_file(f"{word}/run.json"):
            run = RunFolder(Path(word))
            named = not dataset or run.config.dataset == dataset
            if not (of_identity([run], identity) if identity else named):
                owner = run.config.dataset_identity.place or "elsewhere"
                raise RequestError(
                    f"RUN={word} is a run of another dataset, {owner}: leave out"
                    f" {quoted(f'DATASET={dataset}')}, or give a run of it"
                )
        elif not runs_by_name:
            others = [folder.name for folder in Path(runs).glob("*/")]
            meant = closest(dataset, others) if dataset not in ("", *others) else None
            if meant:
                raise RequestError(
                    f"there are no runs of {dataset}; did you mean"
                    f" {quoted(f'DATASET={meant}')}?"
                )
            place = Path(runs, dataset)
            of_dataset = f" of {identity.place}" if identity else ""
            raise RequestError(
                f"RUN={word}: no run{of_dataset} in {place}: train one first"
            )
        else:
            named = any(f"/{key}".endswith(f"/{word}") for key in runs_by_name)
            run = fitting(word, runs_by_name if named else able, data)
        chosen[run.path.resolve()] = run
    for run in of_other_data([*chosen.values()], data):
        tell_once(
            f"the clips, labels, folds or values of {run.name} have changed since it"
            " was trained"
        )
    return list(chosen.values())


def current_runs(
    runs: Mapping[str, RunFolder], data: Path | str
) -> Mapping[str, RunFolder]:
    """The runs of today's data; all of them if none is."""
    other = of_other_data([*runs.values()], data)
    return {name: run for name, run in runs.items() if run not in other} or runs


def fitting(
    word: str, runs: Mapping[str, RunFolder], data: Path | str = DATA
) -> RunFolder:
    """The only run whose name is or begins with `word`, else RequestError."""
    begun = [name for name in runs if f"/{word}" in f"/{name}"]
    whole = [name for name in begun if f"/{name}".endswith(f"/{word}")]
    names = whole or begun
    if not names:
        known_names = [name.partition("/")[2] for name in runs]
        raise RequestError(nearest("run", word, known_names))
    if len(names) > 1:
        current = current_runs({name: runs[name] for name in names}, data)
        names = [*current]
        # mel means mel-linear, not mel+mfcc-linear
        ended = [name for name in names if f"/{word}-" in f"/{name}"]
        names = ended if len(ended) == 1 else names
    if len(names) > 1:
        listed = ", ".join(map(shlex.quote, names))
        raise RequestError(f"RUN={word} fits {len(names)} runs: give one of {listed}")
    return runs[names[0]]


def select_one(
    runs: Path | str,
    name: str,
    dataset: str = "",
    identity: Identity | None = None,
    *,
    predicting: bool = True,
    data: Path | str = DATA,
) -> RunFolder:
    """The run that `name` names as in `select`; RequestError if it names several. A
    message says if the last run has synthetic clips, or lacks some folds.
    """
    if Path(name).suffix in (".pt", *MODEL_PLACES):
        if is_file(name):
            reason = "this command is for a run, and not for a file made of one"
        else:
            reason = "there is no such file"
        raise RequestError(f"RUN={name}: {reason}")
    word = name if "'" in name else shlex.quote(name)  # one, also with blanks
    chosen = select(runs, word, dataset, identity, predicting=predicting, data=data)
    if len(chosen) > 1:
        raise RequestError(f"RUN={name} names {len(chosen)} runs: name one")
    run = chosen[0]
    if name == "last":
        remarks = []
        if run.config.synthetic:
            remarks.append("trained on synthetic clips")
        if len(run.finished) < len(run.folds):
            remarks.append(f"{len(run.finished)} of {len(run.folds)} folds so far")
        if remarks:
            named = f"{run.path.parent.name}/{run.name}"
            tell_once(f"RUN=last is {named}, {', '.join(remarks)}; RUN= names another")
    return run


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
    # runs that were trained for some folds of an answer only
    members = {run.path.with_name(name) for run in rows for name in run.config.members}
    parts = [run for run in rows if run.path in members and run.finished != run.folds]
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
