"""The runs that RUN= names: by name, path, unique prefix, or `last`."""

import os
from collections.abc import Mapping
from pathlib import Path

from featurestack.commandline import DATA
from featurestack.commandline.errors import RequestError, make_command, nearest
from featurestack.results.folders import find
from featurestack.results.run_folder import RunFolder
from featurestack.results.training_data import of_other_data
from featurestack.storage.files import is_file, may_read, require_readable


def select(
    runs: Path | str,
    wanted: str,
    dataset: str = "",
    *,
    predicting: bool = False,
    data: Path | str = DATA,
) -> list[RunFolder]:
    """The runs that the words of `wanted` name: each a name, a path, a unique prefix of
    a name, or `last`.

    `dataset/name` distinguishes runs of the same name; a single name or path may hold
    blanks. `last` and prefixes choose among the runs that are of the data of today in
    `data`, if there are some. If `predicting`, `last` is the last run that has weights
    of its own, if there is one: a choice of features has none.
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
            current = list(current_runs(known, data).values())
            able = [run for run in current if predicting and has_weights(run)]
            run = max(able or current, key=_written)
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
            run = fitting(word, known, data)
        chosen[run.path.resolve()] = run
    return list(chosen.values())


def current_runs(
    known: Mapping[str, RunFolder], data: Path | str
) -> Mapping[str, RunFolder]:
    """The runs of today's data; all of them if none is."""
    other = of_other_data([*known.values()], data)
    return {name: run for name, run in known.items() if run not in other} or known


def fitting(
    word: str, known: Mapping[str, RunFolder], data: Path | str = DATA
) -> RunFolder:
    """The run of this name or beginning; RequestError if not just one."""
    begun = [name for name in known if f"/{word}" in f"/{name}"]
    whole = [name for name in begun if f"/{name}".endswith(f"/{word}")]
    names = whole or begun
    if not names:
        known_names = [name.partition("/")[2] for name in known]
        raise RequestError(nearest("run", word, known_names))
    if len(names) > 1:
        current = current_runs({name: known[name] for name in names}, data)
        names = [*current]
    if len(names) > 1:
        raise RequestError(
            f"RUN={word} fits {len(names)} runs: give one of {', '.join(names)}"
        )
    return known[names[0]]


def select_one(
    runs: Path | str,
    wanted: str,
    dataset: str = "",
    *,
    predicting: bool = True,
    data: Path | str = DATA,
) -> RunFolder:
    """The run that `wanted` names as in `select`; RequestError if it names several."""
    endings = ("pt", "onnx")
    if Path(wanted).suffix.removeprefix(".") in endings:
        if is_file(wanted):
            reason = "this command is for a run, and not for a file made of one"
        else:
            reason = "there is no such file"
        raise RequestError(f"RUN={wanted}: {reason}")
    chosen = select(runs, wanted, dataset, predicting=predicting, data=data)
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
