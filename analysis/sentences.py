"""Sentences of a report: typed functions that take facts and return plain text.

`page.say` finds them by name; templates place them. A sentence that is not needed is
empty. Macros of words.txt are found in the same way.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from featurestack.commandline.quantities import counted, percent, points

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings

SENTENCES: dict[str, Callable[..., str]] = {}


def sentence(function: Callable[..., str]) -> Callable[..., str]:
    """Let templates and the terminal say this function by its name."""
    SENTENCES[function.__name__] = function
    return function


def unsigned(value: float) -> str:
    """Points without their plus sign."""
    return points(value).removeprefix("+")


def either(names: Sequence[str]) -> str:
    """`a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


@sentence
def probably(f: "Findings") -> str:
    """How good the best of several configurations is, its selection left out."""
    assert f.best is not None, "several configurations have a best one"
    low, high = f.best["accuracy_low"], f.best["accuracy_high"]
    text = (
        f"The best of {len(f.alike)} configurations, probably between {percent(low)}"
        f" and {percent(high)} % (95 % interval if it had been named beforehand"
    )
    same = f.nested == f.best["accuracy"] and f.nested_low == low
    if pd.notna(f.nested):
        text += "; chosen on the other folds each time, it is "
        nested = f"{percent(f.nested)} %"
        if pd.notna(f.nested_low):
            nested += f", {percent(f.nested_low)} to {percent(f.nested_high)}"
        text += "the same" if same else nested
    return f"{text})."


@sentence
def otherwise(f: "Findings") -> str:
    """How the best run that is trained in another way compares with the features."""
    if not f.otherwise:
        return ""
    row, *more = f.otherwise
    text = f"{row['label']}, trained otherwise, has {percent(row['accuracy'])} %"
    same = [other for other in f.alike if other["features"] == row["features"]]
    if same:
        text += f"; {same[0]['label']} has {percent(same[0]['accuracy'])} %"
    if f.state != "untested":
        verdict = {"tied": "no clear difference"}.get(row["verdict"], row["verdict"])
        text += f". To the best features: {points(row['difference'])} points"
        if pd.notna(row["difference_low"]):
            low, high = points(row["difference_low"]), points(row["difference_high"])
            text += f" ({low} to {high})"
        text += f", {verdict}"
    if more:
        are = "is" if len(more) == 1 else "are"
        text += f". {counted(len(more), 'more run')} {are} trained otherwise"
    return f"{text}."


@sentence
def right(f: "Findings") -> str:
    """The headline of features chosen inside the folds."""
    assert f.best is not None and f.choice is not None, "the best run is a choice"
    count = counted(len(f.choice.candidates), "feature")
    return (
        f"{percent(f.best['accuracy'])} % {f.score} with {f.best['model']}, by the"
        f" choice from {count}, made without the tested fold"
    )


@sentence
def composed(f: "Findings") -> str:
    """That the sets of some runs were chosen by the scores of the tested folds."""
    counts = [run.composed_from for run in f.runs if run.composed_from]
    if not counts:
        return ""
    names = [run.features for run in f.runs if run.composed_from]
    many = len(names) > 1
    return (
        f"{either(list(dict.fromkeys(names)))} {'were' if many else 'was'} composed"
        f" from the best of {max(counts)} feature sets on these test folds; no test or"
        " interval here corrects that"
        f", so {'they have' if many else 'it has'} no verdict."
    )
