"""Answers as tables: one row a clip, told to people, as JSON or as CSV."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from commandline import tell, text_table
from train.trained import Probabilities
from train.trained_options import PredictOptions

BAR = 24  # characters of a probability of 1
AGREES = 1e-3  # a probability computed anew may differ by so much from predictions.csv


def table_of(
    classes: list[str], probabilities: Probabilities, columns: Mapping[str, list[object]]
) -> pd.DataFrame:
    """One row a clip: what is known of it, the predicted class, one probability column a class."""
    predicted = np.array(classes, object)[probabilities.argmax(axis=1)]
    known = pd.DataFrame({**columns, "predicted": predicted})
    return pd.concat([known, pd.DataFrame(probabilities, columns=classes)], axis=1)


def compare(table: pd.DataFrame, before: pd.DataFrame, classes: list[str]) -> None:
    """Say the accuracy, and by how much the probabilities differ from those of predictions.csv."""
    right = (table["predicted"] == table["target"]).mean()
    then = (before[classes].idxmax(axis=1).to_numpy() == before["target"].to_numpy()).mean()
    largest = np.abs(table[classes].to_numpy() - before[classes].to_numpy()).max(initial=0)
    verdict = "the same" if largest <= AGREES else "NOT the same: was the audio or a library changed?"
    tell(f"accuracy {right:.4f} of {len(table)} clips; predictions.csv says {then:.4f}")
    tell(f"probabilities differ by {largest:.1e} at most: {verdict}")


def show(table: pd.DataFrame, classes: list[str], options: PredictOptions, each: bool = True) -> None:
    """On standard output as JSON, as CSV, or (`each`) for people, the best classes first."""
    if options.json:
        rows = table.drop(columns=classes).to_dict("records")
        answers = table[classes].to_dict("records")
        print(json.dumps([{**row, "probabilities": answer} for row, answer in zip(rows, answers)], indent=1))
    elif options.csv:
        print(table.to_csv(index=False), end="")
    elif each and len(table) == 1:
        print(bars(table.iloc[0][classes], options.top))
    elif each and len(table):
        best = [row.astype(float).nlargest(options.top) for _, row in table[classes].iterrows()]
        told = [[f"{name} {p:.2f}" for name, p in row.items()] for row in best]
        places = [f"{place}." for place in range(1, len(best[0]) + 1)]
        print(text_table([[file, *row] for file, row in zip(table["file"], told)], ["file", *places]))


def bars(answer: pd.Series, top: int) -> str:
    """`dog  0.93  ######################` for the `top` classes of one answer."""
    best = answer.astype(float).nlargest(top)
    width = max(map(len, best.index))
    return "\n".join(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip() for name, p in best.items())


def complain(failures: Mapping[Path, str], total: int) -> int:
    """Name what could not be heard; the exit status."""
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be heard")
    return 1 if failures else 0
