"""How the best of several configurations compares with the others."""

from typing import TYPE_CHECKING

import pandas as pd

from featurestack.analysis.sentences import (
    Row,
    best_of,
    interval,
    sentence,
)
from featurestack.commandline.quantities import percent, points

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings


def sure_of_several(f: "Findings") -> str:
    """How the best of several configurations compares with the others."""
    if f.state == "tie":
        texts = [f"{probably(f)} {rival(f, f.tied[0])}: no clear difference."]
        others = len(f.tied) - 1
        worse = sum(row["verdict"] == "clearly worse" for row in f.alike)
        if others == 1:
            texts.append("One other does not differ clearly either.")
        elif others:
            texts.append(f"{others} others do not differ clearly either.")
        if worse:
            texts.append(
                "One is clearly worse." if worse == 1 else f"{worse} are clearly worse."
            )
        return " ".join(texts)
    if f.state != "winner":
        return ""
    texts = [f"{probably(f)} {rival(f, f.alike[1])}: clearly worse."]
    others = len(f.alike) - 2
    if others == 1:
        texts.append("The other set is clearly worse too.")
    elif others:
        texts.append(f"The {others} others are clearly worse too.")
    return " ".join(texts)


def rival(f: "Findings", row: Row) -> str:
    """A configuration, its score, and its difference to the best."""
    control = ", a control," if row["control"] else ""
    ends = interval(f, row["difference_low"], row["difference_high"])
    return (
        f"{row['label']}{control} has {percent(row['accuracy'])} %,"
        f" {points(row['difference'])} points{ends}"
    )


@sentence
def probably(f: "Findings") -> str:
    """How good the best of several configurations is, its selection left out."""
    best = best_of(f)
    low, high = best["accuracy_low"], best["accuracy_high"]
    text = (
        f"The best of {len(f.alike)} configurations, probably between {percent(low)}"
        f" and {percent(high)} % (95 % interval if it had been named beforehand"
    )
    if pd.notna(f.nested):
        text += "; chosen on the other folds each time, it is "
        named = [percent(end) for end in (best["accuracy"], low, high)]
        nested = [percent(end) for end in (f.nested, f.nested_low, f.nested_high)]
        if nested == named:
            text += "the same"
        elif pd.notna(f.nested_low):
            text += f"{nested[0]} %, {nested[1]} to {nested[2]}"
        else:
            text += f"{nested[0]} %"
    return f"{text})."
