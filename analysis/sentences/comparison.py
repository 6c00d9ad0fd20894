"""Sentences that compare runs: the best with the others, sets with parts of them, and
how all this was tested.
"""

import pandas as pd

from featurestack.analysis.findings import Findings, Row
from featurestack.analysis.sentences import ranking_of, sentence
from featurestack.commandline.quantities import percent, plural, points
from featurestack.scores.significance import FAMILY_LEVEL


def interval(f: Findings, low: float, high: float) -> str:
    """` (+1.0 to +3.2)` behind a difference."""
    if pd.isna(low):
        return f" (too few {plural(f.group)} for an interval)"
    return f" ({points(low)} to {points(high)})"


@sentence
def sure_of_several(f: Findings) -> str:
    """The comparison of the best configuration with the others."""
    if f.state == "tie":
        texts = [f"{rival(f, f.tied[0])}: no clear difference."]
        others = len(f.tied) - 1
        worse = sum(row["verdict"] == "clearly worse" for row in f.rows)
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
    texts = [f"{rival(f, f.rows[1])}: clearly worse."]
    others = len(f.rows) - 2
    if others == 1:
        texts.append("The other one is clearly worse too.")
    elif others:
        texts.append(f"The {others} others are clearly worse too.")
    return " ".join(texts)


def rival(f: Findings, row: Row) -> str:
    """A configuration, its score, and its difference to the best."""
    ends = interval(f, row["difference_low"], row["difference_high"])
    return (
        f"{row['label']} has {percent(row['accuracy'])} %,"
        f" {points(row['difference'])} points{ends}"
    )


@sentence
def features(f: Findings) -> str:
    """The best feature set within one model, if the runs have several."""
    alike = f.alike
    if not alike or len(alike) == len(f.rows):
        return ""
    main = ranking_of(f)
    model = main.setting_of(main.runs[main.alike[0]])
    first, second, *_ = alike
    most = percent(first["accuracy"])
    text = f"Of the {len(alike)} feature sets trained with {model}, {first['features']}"
    if second["accuracy"] == first["accuracy"]:
        return f"{text} and {second['features']} have the highest {f.score}, {most} %."
    return (
        f"{text} has the highest {f.score}, {most} %; {second['features']} has"
        f" {percent(second['accuracy'])} %."
    )


@sentence
def combine(f: Findings) -> str:
    """The gain of the best set by one of its features, or of another by one more."""
    features = [gain for gain in f.gains if gain["kind"] == "features"]
    if not features:
        return ""
    best = (f.alike or f.rows)[0]["run"]
    into = [gain for gain in features if gain["with"] == best]
    chosen = into or [gain for gain in features if gain["without"] == best]
    return " ".join(added(f, gain) for gain in chosen[:2])


def added(f: Findings, gain: Row) -> str:
    """The gain of a set by one more feature."""
    found = gain["verdict"]
    if found == "not compared":
        found = "not tested"
    elif found.startswith("clear"):
        found = f"a {found}"
    ends = interval(f, gain["low"], gain["high"])
    return (
        f"Adding {gain['changed']} to {gain['base']}: {points(gain['difference'])}"
        f" points{ends}, {found}."
    )


@sentence
def tested(f: Findings) -> str:
    """The comparison of configurations, and when a difference is clear."""
    if len(f.rows) < 2 or f.state == "untested":
        return ""
    text = (
        "Each configuration is compared with the best by a sign-flip test, paired by"
        f" {f.unit}"
    )
    if len(f.rows) > 2:
        text += f" and corrected for all {len(f.rows) - 1} comparisons"
    text += (
        ". The intervals of differences come from the same test; the interval of each"
        f" {f.score} is not corrected. A difference is clear if p is below"
        f" {FAMILY_LEVEL}, so that these comparisons and those under “What one choice"
        " changes” together make a false claim in at most 5 % of reports."
    )
    if len({percent(row["accuracy"]) for row in f.rows}) < len(f.rows):
        text += (
            " Runs of equal accuracy can get different verdicts because they fail on"
            " different clips."
        )
    return text
