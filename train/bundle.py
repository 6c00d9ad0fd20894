"""All that predicting needs, from a run folder or in one file: configuration, weights, statistics.

A bundle's file is a dictionary of tensors, numbers and text, so that `weights_only=True` reads it: nothing
in it is ever executed.

    format   BUNDLE_FORMAT, raised when readers and files of before no longer fit each other
    config   run.json
    folds    {fold: {"network": state dict, "statistics": list}}
"""

from pathlib import Path
from typing import Any, NamedTuple

from commandline import RequestError, size
from train import runs
from train.checkpoint import State, load, read_safely, save
from train.trained_options import BundleOptions

BUNDLE_FORMAT = 2
CONFIG = (
    *("classes", "model", "channels", "grid", "augment", "options"),
    *("sample_rate", "duration", "dataset", "folds"),
)


class Bundle(NamedTuple):
    """run.json, and by fold the network's and the statistics' state."""

    config: dict[str, Any]
    folds: dict[int, State]


def of_run(run: runs.RunFolder, selection: str = "last") -> Bundle:
    """What the finished folds of a run hold; RequestError where none is, or none was chosen by validation."""
    if not run.finished:
        raise RequestError(f"{run.name} has no finished fold yet: let it train on")
    folds = {}
    for fold in run.finished:
        file = run.fold(fold) / f"{selection}.pt"
        if not file.is_file():
            how = "the run was trained without VAL" if selection == "best" else "train this fold again"
            raise RequestError(f"{file} is not there: {how}")
        state = load(file)
        folds[fold] = {key: state[key] for key in ("network", "statistics")}
    return Bundle(run.config, folds)


def write(file: Path, bundle: Bundle) -> None:
    save(file, {"format": BUNDLE_FORMAT, "config": bundle.config, "folds": bundle.folds})


def read(file: Path) -> Bundle:
    """RequestError for another kind of file, another format, or code in it."""
    try:
        held = read_safely(file)
    except ValueError as reason:
        raise RequestError(f"{file} is no bundle that can be read safely ({reason})") from None
    if not isinstance(held, dict) or "format" not in held:
        raise RequestError(f"{file} is no bundle: python -m train bundle RUN makes one")
    if held["format"] != BUNDLE_FORMAT:
        given = f"{file} has bundle format {held['format']}, this version reads {BUNDLE_FORMAT}"
        older = held["format"] in range(BUNDLE_FORMAT)
        raise RequestError(f"{given}: {'make it again from its run' if older else 'update the project'}")
    lacking = [key for key in CONFIG if key not in held.get("config", {})]
    if lacking or not held.get("folds"):
        raise RequestError(f"{file} is incomplete, it lacks {(*lacking, 'folds')[0]}: make it again")
    return Bundle(runs.upgraded(held["config"]), held["folds"])


def make(options: BundleOptions) -> int:
    """Write the run's bundle and say how large it is."""
    run = runs.select_one(options.runs, options.run)
    file = options.out or Path(f"{run.name}.bundle.pt")
    if not file.parent.is_dir():
        raise RequestError(f"OUT={file}: there is no folder {file.parent}")
    bundle = of_run(run, options.selection)
    write(file, bundle)
    folds = f"{len(bundle.folds)} of {len(run.folds)} folds"
    print(f"{file}: {folds}, {size(file.stat().st_size)}; make predict RUN={file} AUDIO=… uses it")
    return 0
