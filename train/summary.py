"""What a run is told to have found, from its run folder alone."""

import statistics

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commandline import text_table
from train.runs import RunFolder
from train.scores import confusion_matrix, epoch_scores, most_confused

SHOWN = ("loss", "accuracy", "f1")


def told_split(run: RunFolder) -> str:
    """The part whose scores are told: test, or val of a run that never scores the test fold."""
    return "val" if run.config["options"]["blind"] else "test"


def answers(
    run: RunFolder, fold: int | None = None, split: str = "test", selection: str = "last"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (N, K) and class numbers (N,) of the finished folds together, or of one."""
    table = run.predictions(fold)
    table = table[(table["split"] == split) & (table["selection"] == selection)]
    numbers = {name: number for number, name in enumerate(run.classes)}
    return table[run.classes].to_numpy(np.float32), table["target"].map(numbers).to_numpy(np.int64)


def scores(run: RunFolder, split: str = "test", selection: str = "last") -> pd.DataFrame:
    """`epoch_scores` of each finished fold, a row a fold."""
    by_fold = {}
    for fold in run.finished:
        probabilities, targets = answers(run, fold, split, selection)
        by_fold[fold] = epoch_scores(targets, probabilities)
    return pd.DataFrame.from_dict(by_fold, orient="index")


def tell(run: RunFolder) -> str:
    """Test loss, accuracy and F1 as mean ± sd over folds, the most frequent errors, the protocol."""
    split = told_split(run)
    table = scores(run, split)
    n, of = len(table), len(run.folds)
    rows = [(name, _spread(table[name].tolist())) for name in SHOWN]
    probabilities, targets = answers(run, split=split)
    counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
    errors = [
        f"{run.classes[true]} predicted as {run.classes[predicted]} "
        f"({counts[true, predicted]} of {counts[true].sum()})"
        for true, predicted in most_confused(counts)
    ]
    lines = [
        f"{run.path}: {n} of {of} folds",
        text_table(rows, (split, f"mean ± sd, n = {n}")),
        f"most confused: {'; '.join(errors) or 'none'}",
        f"protocol: {run.config['protocol']}",
    ]
    if run.config["synthetic"]:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{deviation}"
