"""Whether the files of a run folder can be used, and what is in them if so.

What cannot be used raises `Unreadable` with the sentence for the reader: which file, what is wrong with it,
what to do. A fold is judged alone, so that one damaged file costs one fold.
"""

import numpy as np
import pandas as pd

from commandline import RequestError
from train.runs import HISTORY_COLUMNS, PREDICTION_COLUMNS, RunFolder
from train.scores import Floats

NEEDED_KEYS = ("dataset", "features", "model", "task", "seed", "classes", "folds")
SUM_TOLERANCE = 1e-3  # a truncated number in a row of probabilities shows in their sum


class Unreadable(Exception):
    """A run or a fold that cannot be used; the message is the sentence for the reader."""


def check_config(folder: RunFolder) -> None:
    """Raise Unreadable unless run.json has everything that an analysis asks it for."""
    again = "train this run again"
    try:
        config = folder.config
    except (RequestError, OSError) as error:
        raise Unreadable(str(error)) from None
    lacking = [key for key in NEEDED_KEYS if key not in config]
    if lacking:
        raise Unreadable(f"{folder.path / 'run.json'} lacks {', '.join(lacking)}: {again}")
    try:
        sound = all(isinstance(name, str) for name in folder.classes) and int(config["seed"]) >= 0
        sound &= all(isinstance(fold, int) for fold in folder.folds)
    except (TypeError, KeyError, ValueError):
        sound = False
    if not sound:
        raise Unreadable(f"{folder.path / 'run.json'} has malformed classes, folds or seed: {again}")


def progress_text(folder: RunFolder) -> str:
    """How far a run without a finished fold has come."""
    reached = []
    for fold in folder.folds:
        try:
            epochs = len(folder.history(fold))
        except (OSError, ValueError):
            continue
        if epochs:
            reached.append(f"fold {fold} is at epoch {epochs} of {folder.config.get('epochs', '?')}")
    return f"no fold is finished yet ({'; '.join(reached) or 'no epoch has ended'}): let it train on"


def read_fold(folder: RunFolder, fold: int) -> pd.DataFrame:
    """Checked test predictions: clip_id, group, selection, target, `probabilities` (a row a cell)."""
    file = folder.fold(fold) / "predictions.csv"
    again = f"remove {file} and train again, the other folds are kept"
    try:
        if not file.read_bytes().endswith(b"\n"):
            raise Unreadable(f"it ends in the middle of a row; {again}")
        frame = folder.predictions(fold)
        numbers = _numbers(frame.iloc[:, len(PREDICTION_COLUMNS) :])
    except (OSError, ValueError) as error:
        raise Unreadable(f"it cannot be read ({error}); {again}") from None
    # pandas calls the second of two equal columns x.1
    expected = [f"{name}.1" if name in PREDICTION_COLUMNS else name for name in folder.classes]
    if list(frame.columns) != [*PREDICTION_COLUMNS, *expected]:
        raise Unreadable(f"its columns are not run.json's {len(expected)} classes; {again}")
    whole = np.isfinite(numbers).all(axis=1) & (np.abs(numbers.sum(axis=1) - 1) <= SUM_TOLERANCE)
    whole &= (numbers >= 0).all(axis=1) & frame["target"].isin(folder.classes).to_numpy()
    if not whole.all():
        raise Unreadable(f"{np.sum(~whole)} of {len(whole)} rows are incomplete or no probabilities; {again}")
    test = (frame["split"] == "test").to_numpy()
    if not test.any() and (frame["split"] == "val").any():
        raise Unreadable("it was trained blind, so it has validation predictions alone and no test score")
    if not (test & (frame["selection"] == "last").to_numpy()).any():
        raise Unreadable(f"it holds no test predictions of the last epoch; {again}")
    clips = frame.loc[test, ["clip_id", "group", "selection", "target"]].copy()
    clips["probabilities"] = list(numbers[test] / numbers[test].sum(axis=1, keepdims=True))
    return clips


def _numbers(columns: pd.DataFrame) -> Floats:
    """The columns as numbers, NaN where a field is empty or no number."""
    try:
        return columns.to_numpy(dtype=float)
    except ValueError:  # a damaged file: slower, column by column
        return columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)


def refuse_repeated_clips(clips: pd.DataFrame) -> None:
    """Raise Unreadable where two folds tested the same clip."""
    twice = clips.loc[clips.duplicated(["clip_id", "selection"]), "clip_id"]
    if len(twice):
        raise Unreadable(
            f"{len(twice)} clips, {twice.iloc[0]!r} first, are tested twice, so no score can be trusted: "
            "train this run again under another TAG"
        )


def read_history(folder: RunFolder) -> tuple[pd.DataFrame, list[str]]:
    """All epochs of all folds (seed, fold, HISTORY_COLUMNS), and a sentence for each damaged file."""
    parts, problems = [], []
    for fold in folder.folds:
        try:
            history = folder.history(fold)[list(HISTORY_COLUMNS)].astype(float)
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"the learning curve of fold {fold} is left out: history.csv, {error}")
        else:
            history.insert(0, "fold", fold)
            parts.append(history)
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in ("fold", *HISTORY_COLUMNS)})
    whole = pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)
    whole.insert(0, "seed", int(folder.config["seed"]))
    return whole, problems
