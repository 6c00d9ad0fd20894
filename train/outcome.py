"""What came of a run: what is printed of a fold and of a run, and temperatures for run.json. No torch."""

import statistics
from typing import Any

import numpy as np

from commandline.terminal import mean_percent, percent, text_table
from results.run_folder import RunFolder
from results.scores import (
    confusion_matrix,
    epoch_scores,
    fit_temperature,
    most_confused,
)

PRINTED_SCORES = ("loss", "accuracy", "f1")


def summary(run: RunFolder) -> str:
    """Test loss, accuracy and F1 as mean ± sd over folds, the most frequent errors, the protocol.

    With validation, those of the last epoch and of the best one, which counts, side by side.
    """
    split, epochs = run.scored_split, scored_epochs(run)
    tables = [run.scores(split, selection) for selection in epochs]
    rows = []
    for name in PRINTED_SCORES:
        values = [table[name].tolist() for table in tables]
        rows.append((name, *(mean_percent(each) if name == "accuracy" else _mean(each) for each in values)))
    described = f"mean ± sd, n = {len(tables[0])}"
    header = [described] if len(epochs) == 1 else [f"{epoch}: {described}" for epoch in epochs.values()]
    probabilities, targets = run.answers(split=split, selection=list(epochs)[-1])
    counts = confusion_matrix(targets, probabilities.argmax(1), len(run.classes))
    errors = [
        f"{run.classes[true]} predicted as {run.classes[predicted]} "
        f"({counts[true, predicted]} of {counts[true].sum()})"
        for true, predicted in most_confused(counts)
    ]
    lines = [
        f"{run.path}: {len(tables[0])} of {len(run.folds)} folds",
        text_table(rows, (split, *header)),
        *members_alone(run),
        f"most confused: {'; '.join(errors) or 'none'}",
        f"protocol: {run.config['protocol']}",
    ]
    if run.config["synthetic"]:
        lines.append("the clips are synthetic")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{deviation}"


def scored_epochs(run: RunFolder) -> dict[str, str]:
    """The selections that a run's predictions have, each in words: the last one counts.

    {"last": "last epoch", "best": "best epoch by val_loss"}
    """
    best = {"best": f"best epoch by {run.config['select']}"} if run.selection() == "best" else {}
    return {"last": "last epoch", **best}


def members_alone(run: RunFolder, fold: int | None = None) -> list[str]:
    """`accuracy: resnet18 alone 85.1, texture alone 91.6, together 93.0 %`; no line of a single network."""
    if not run.members:
        return []
    accuracies = [run.scores(run.scored_split, member=name)["accuracy"] for name in (*run.members, "")]
    *alone, together = [percent(folds.mean() if fold is None else folds[fold]) for folds in accuracies]
    each = ", ".join(f"{name} alone {accuracy}" for name, accuracy in zip(run.members, alone))
    return [f"accuracy: {each}, together {together} %"]


def fold_lines(run: RunFolder, fold: int) -> list[str]:
    """A finished fold's scores, by each epoch that was chosen, and of an ensemble each member's accuracy."""
    split, epochs, lines = run.scored_split, scored_epochs(run), []
    for selection, epoch in epochs.items():
        probabilities, targets = run.answers(fold, split, selection)
        scores = epoch_scores(targets, probabilities)
        texts = {name: f"{scores[name]:.3f}" for name in PRINTED_SCORES}
        texts["accuracy"] = f"{percent(scores['accuracy'])} %"
        text = ", ".join(f"{split} {name} {value}" for name, value in texts.items())
        lines.append(f"{epoch}: {text}" if len(epochs) > 1 else text)
    return [f"{run.name} fold {fold}: {line}" for line in (*lines, *members_alone(run, fold))]


def calibration(run: RunFolder) -> dict[str, Any]:
    """For run.json: of each selection the temperature for new audio, fitted to all clips tested so far."""
    table = run.predictions()
    numbers = {name: number for number, name in enumerate(run.classes)}
    fitted = {}
    for selection, rows in table[table["split"] == "test"].groupby("selection"):
        target = rows["target"].map(numbers).to_numpy()
        probabilities = rows[run.classes].to_numpy(dtype=np.float64)
        fitted[str(selection)] = {
            "temperature": fit_temperature(target, probabilities),
            "clips": len(rows),
        }
    return fitted
