"""Sentences of a report: typed functions that take facts and return plain text.

`page.say` finds them by name; templates place them. A sentence that is not needed is
empty. Macros of words.txt are found in the same way.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from featurestack.analysis.significance import POWER
from featurestack.commandline.quantities import counted, percent, plural, points

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
    score = f"{percent(f.best['accuracy'])} % {f.score}"
    if "uneven" in {threat.kind for threat in f.threats}:
        score += f" ({percent(f.best['balanced_accuracy'])} % balanced)"
    return (
        f"{f.best['model']} has {score}; its features were chosen from"
        f" {len(f.choice.candidates)} without the clips that test them"
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


@sentence
def enough(f: "Findings") -> str:
    """Which differences these clips can show, and what the intervals leave out."""
    texts = [shown_difference(f), recordings_for_tie(f)]
    seeds = [row["seeds"] for row in f.rows if not row["exact"]]
    if 1 in seeds and len(f.rows) > 1 and f.state != "untested":
        assert f.best is not None, "runs that were tested have a best one"
        some = f.best["seeds"] > 1
        texts.append(
            "Some runs have one seed." if some else "Only one seed was trained."
        )
        texts.append("The intervals do not include the variation between trainings.")
    return " ".join(filter(None, texts))


def shown_difference(f: "Findings") -> str:
    """The smallest difference to the second run that these recordings can show."""
    if pd.isna(f.detectable):
        return ""
    best, second, *_ = f.rows
    power = f"power {percent(POWER, 0)} %"
    if f.detectable > best["accuracy"]:
        return (
            f"{counted_recordings(f)} can show no difference to {second['label']},"
            f" however large ({power})."
        )
    least = percent(f.detectable)
    text = (
        f"These clips can show a difference of {least} points or more to"
        f" {second['label']} ({power})."
    )
    difference = abs(second["difference"])
    if f.state == "winner" and difference < f.detectable:
        text += (
            f" The difference found is smaller, {percent(difference)} points: other"
            f" {plural(f.group)} might not show it."
        )
    return text


def recordings_for_tie(f: "Findings") -> str:
    """How many recordings would show the difference of the two best runs."""
    if f.state != "tie" or f.recordings_needed <= f.recordings:
        return ""
    if f.recordings_needed > 10 * f.recordings:
        return (
            f"Ten times as many {plural(f.group)} would not show the difference found."
        )
    needed = counted(f.recordings_needed, f.group)
    return (
        f"About {needed} would show the difference found; there are {f.recordings:,}."
    )


def counted_recordings(f: "Findings") -> str:
    """`60 source recordings`; if no groups are known, clips."""
    assert f.main is not None, "runs that are compared have a ranking"
    if f.recordings == len(f.main.best.clip_ids) and not f.groups:
        return f"{counted(f.recordings, 'clip')}, each counted as a recording,"
    return counted(f.recordings, f.unit)
