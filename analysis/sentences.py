"""Sentences of a report: typed functions that take facts and return plain text.

`page.say` finds them by name; templates place them. A sentence that is not needed is
empty. Macros of words.txt are found in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from featurestack.commandline.quantities import counted, percent, points

if TYPE_CHECKING:
    from featurestack.analysis.across import Comparison
    from featurestack.analysis.findings import Findings, Row
    from featurestack.results.importance_folder import ImportanceFolder

SHOWN_LOSSES = 4
SENTENCES: dict[str, Callable[..., str]] = {}


def sentence(function: Callable[..., str]) -> Callable[..., str]:
    """Let templates and the terminal say this function by its name."""
    SENTENCES[function.__name__] = function
    return function


def unsigned(value: float) -> str:
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
        f"The best of {len(f.rows)} configurations, probably between {percent(low)} and"
        f" {percent(high)} % (95 % interval if it had been named beforehand"
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
def composed_importance(folder: "ImportanceFolder | None") -> str:
    """That the features that were measured were chosen on the tested folds."""
    if folder is None or not folder.config.composed_from:
        return ""
    return (
        f"These {len(folder.features)} features are the best of"
        f" {folder.config.composed_from} on these test folds; no test or interval here"
        " corrects that, so no set to keep is named."
    )


@sentence
def losses(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is lost without each feature of a kept set, the largest loss first, and
    which of them cannot be ordered.
    """
    if not rows:
        return ""
    parts: list[str] = []
    for row in rows[:SHOWN_LOSSES]:
        lost = f"without {row['without']} {unsigned(row['lost'])}"
        if not parts:
            lost = f"Without {row['without']} {unsigned(row['lost'])} points are lost"
        if pd.notna(row["low"]):
            lost += f" ({unsigned(row['low'])} to {unsigned(row['high'])})"
        parts.append(lost)
    text = ", ".join(parts)
    if len(rows) > SHOWN_LOSSES:
        text += "; the others stand in the section"
    for names in open_orders(rows):
        text += f"; which of {either(names)} matters more is open"
    return f"{text}."


def open_orders(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Features whose losses follow each other and do not differ clearly, by group."""
    groups: list[list[str]] = []
    for row in rows:
        if groups and not row["clear"]:
            groups[-1].append(row["without"])
        else:
            groups.append([row["without"]])
    return [names for names in groups if len(names) > 1]


@sentence
def doubling(last: "Row", group: str) -> str:
    """What the last doubling of the recordings brought, and what to expect of the next.

    last  the row of `learning_curve` with all recordings
    """
    gain = f"{points(last['gain'])} points"
    if pd.isna(last["gain_low"]):
        return f"The last doubling of the {group} brought {gain}."
    low, high = points(last["gain_low"]), points(last["gain_high"])
    if last["gain_low"] <= 0:
        return (
            f"No gain of the last doubling of the {group} can be seen: {gain} ({low} to"
            f" {high})."
        )
    return (
        f"The last doubling of the {group} brought {gain} ({low} to {high}); the next"
        f" probably brings no more than {unsigned(last['gain_high'])}."
    )


@sentence
def fitted_sets(fitted: int, features: int) -> str:
    """How many of the sets of some features were fitted; empty if all were."""
    every = 2**features - 1
    if fitted >= every:
        return ""
    return f"of the {fitted:,} of {every:,} sets that were fitted"


@sentence
def across_unseen(c: "Comparison", fewest: int) -> str:
    """What the best feature set would gain on a dataset not seen."""
    best = c.best
    if pd.isna(best["new_low"]):
        return (
            f"nothing can be said yet: that takes {fewest} datasets."
            f" {best['feature_set']} is better on {best['better']} of"
            f" {best['datasets']}."
        )
    selected = ""
    if len(c.joint) > 1:
        selected = f", the largest of {len(c.joint)}, so too high"
    text = (
        f"{best['feature_set']} would gain {points(best['mean'])} points on average"
        f" ({points(best['low'])} to {points(best['high'])}{selected}); the gain of a"
        f" new dataset would lie between {points(best['new_low'])} and"
        f" {points(best['new_high'])} points"
    )
    if best["new_low"] <= 0 <= best["new_high"]:
        text += ", so it may go either way"
    return f"{text}."


@sentence
def across_travel(correlation: float, low: float, high: float, of: int, on: int) -> str:
    """How far the orders of features by importance agree between datasets."""
    agree = "agree"
    if low <= 0:
        agree = "do not clearly agree"
    elif correlation < 0.7:
        agree = "agree in part"
    return (
        f"The orders of {counted(of, 'feature')} by importance on"
        f" {counted(on, 'dataset')} {agree}: mean rank correlation {correlation:.2f}"
        f" ({low:.2f} to {high:.2f}); noise makes it less than it is."
    ).replace("-", "−")
