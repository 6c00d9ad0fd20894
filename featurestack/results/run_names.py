"""The runs that RUN= names: by name, path, unique prefix, or `last`. No torch."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from featurestack.base import DATA
from featurestack.base.errors import RequestError, closest, nearest
from featurestack.base.extras import MODEL_PLACES
from featurestack.base.files import is_file
from featurestack.base.shell import quoted, unquoted
from featurestack.base.terminal import tell_once
from featurestack.features_cache.identity import Identity
from featurestack.results import run_folder
from featurestack.results.same_run import of_other_data


def select(
    runs: Path | str,
    names: str,
    dataset: str = "",
    identity: Identity | None = None,
    *,
    predicting: bool = False,
    data: Path | str = DATA,
) -> list[run_folder.RunFolder]:
    """The runs that the words of `names` name: each a name, a path, a unique prefix of
    a name, or `last`.

    With a dataset's name and identity they are runs of this dataset. `dataset/name`
    distinguishes runs of the same name; a single name or path may hold blanks. `last`
    and prefixes choose among the runs of today's data in `data`, if there are any. If
    `predicting`, they choose among runs with weights, which an answer lacks.
    """
    runs_by_name = {
        f"{run.path.parent.name}/{run.name}": run
        for run in run_folder.find(runs, dataset, identity)
    }
    able = {}
    if predicting:
        able = {key: run for key, run in runs_by_name.items() if has_weights(run)}
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
            run = run_folder.RunFolder(Path(word))
            named = not dataset or run.config.dataset == dataset
            if not (run_folder.of_identity([run], identity) if identity else named):
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


def has_weights(run: run_folder.RunFolder) -> bool:
    """Whether a run has the weights of a finished fold."""
    weights = run.path.glob("fold*/last.pt")
    return any(
        (file.parent / run_folder.PREDICTIONS_FILE).is_file() for file in weights
    )


def current_runs(
    runs: Mapping[str, run_folder.RunFolder], data: Path | str
) -> Mapping[str, run_folder.RunFolder]:
    """The runs of today's data; all of them if none is."""
    other = of_other_data([*runs.values()], data)
    return {name: run for name, run in runs.items() if run not in other} or runs


def fitting(
    word: str, runs: Mapping[str, run_folder.RunFolder], data: Path | str = DATA
) -> run_folder.RunFolder:
    """The only run whose name is `word` or begins with it; RequestError if there is
    none, or several.
    """
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
) -> run_folder.RunFolder:
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
