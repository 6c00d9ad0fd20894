"""The finding of a report: its headline, and the sentences of its first screen."""

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import pandas as pd

from featurestack.analysis.sentences import (
    Row,
    best_of,
    by_metric,
    folds,
    interval,
    is_or_are,
    listed,
    ranking_of,
    sentence,
)
from featurestack.analysis.significance import POWER
from featurestack.commandline.quantities import counted, percent, plural, points

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings

# heading on the first screen -> the sentence's name
LEADS = {
    "How sure?": "sure",
    "Trained otherwise?": "otherwise",
    "Why combine?": "combine",
    "Which classes fail?": "classes",
    "Enough data?": "enough",
}


@sentence
def verdict(f: "Findings", row: Row) -> str:
    """The verdict on a run, as a table shows it."""
    text: str = row["verdict"]
    if text == "not compared":
        few = f"not compared: too few {plural(f.group)}"
        reasons = {"few recordings": few, "alone": "nothing to compare with"}
        return reasons.get(row["reason"], text)
    return "best, tied" if text == "best" and f.tied else text


@sentence
def headline(f: "Findings") -> str:
    """The finding in one sentence."""
    if f.state == "none":
        damaged = f.excluded.get("damaged", 0)
        if not damaged:
            return "No run has been trained yet"
        are = is_or_are(damaged)
        return f"No run can be read: {counted(damaged, 'run')} {are} damaged"
    best, main = best_of(f), ranking_of(f)
    score = f"{percent(best['accuracy'])} % {f.score}{balanced(f)}"
    if f.state == "one":
        if f.choice:
            from featurestack.analysis.sentences.choice import right

            return right(f)
        model = f"{best['features']} with {best['model']}"
        return f"One configuration so far: {model}, {score}"
    if f.state == "untested":
        why = f"too few {plural(f.group)} for a verdict"
        if main.composed_from:
            why = "its set was composed on these test folds, so no verdict"
            if main.best.missing_folds:
                why = "the choice of its features has not ended, so no verdict"
        highest = f"{percent(best['accuracy'])} %{balanced(f)}"
        return f"Highest {f.score}: {best['label']}, {highest}; {why}"
    if f.state == "chance":
        return (
            f"Nothing is better than chance yet: {best['label']} has {score}, chance is"
            f" {percent(f.chance)} %"
        )
    text = "features" if main.of_features else "configuration"
    text = f"Best {text}: {best['label']}, {score}"
    if len(f.tied) == 1:
        return f"{text}, tied with {f.tied[0]['label']}"
    return f"{text}, tied with {len(f.tied)} others" if f.tied else text


def balanced(f: "Findings") -> str:
    """The balanced accuracy of the best run if the classes are uneven."""
    if "uneven" not in {threat.kind for threat in f.threats}:
        return ""
    return f", {percent(best_of(f)['balanced_accuracy'])} % balanced"


@sentence
def score(f: "Findings") -> str:
    """The details that a reader needs beside the best run's score: `(95 % CI 82.0 to
    86.1, SD 1.2; 5 folds, 1 seed; each fold tested, trained on the others)`.
    """
    if f.best is None:
        return ""
    best, main = f.best, ranking_of(f)
    text = f"no interval, too few {plural(f.group)}"
    if pd.notna(best["accuracy_low"]):
        low, high = percent(best["accuracy_low"]), percent(best["accuracy_high"])
        text = f"95 % CI {low} to {high}"
    if pd.notna(best["accuracy_sd"]):
        text += f", SD {percent(best['accuracy_sd'])}"
    text += f"; {folds(f)}"
    if not best["exact"]:
        text += f", {counted(best['seeds'], 'seed')}"
    if main.best.synthetic:
        text += ", synthetic data"
    return f"({text}; {main.best.protocol})"


@sentence
def sure(f: "Findings") -> str:
    """How sure the headline is."""
    if f.main is None:
        return ""
    text = ""
    if len(f.rows) > 1 and f.main.best.missing_folds:
        text = f"Compared on {folds(f)}, which all of these have finished. "
    best = best_of(f)
    if f.main.composed_from:
        from featurestack.analysis.sentences.choice import composed

        return text + composed(f)
    if f.state == "untested" or (f.state == "one" and pd.isna(best["accuracy_low"])):
        clips = counted(len(f.main.best.clip_ids), "test clip")
        return (
            f"{text}The {clips} come from {counted(f.recordings, f.unit)}, and clips of"
            f" one {f.group} are not independent. A verdict needs at least"
            f" {f.recordings_needed} {plural(f.group)}."
        )
    if f.state == "one":
        return text + sure_of_one(f)
    if f.state == "chance":
        return (
            f"{text}{by_metric('chance', f)}; the best configuration is not clearly"
            " better than that."
        )
    from featurestack.analysis.sentences.comparison import sure_of_several

    return text + sure_of_several(f)


def sure_of_one(f: "Findings") -> str:
    """How good the only configuration is, and whether it is better than chance."""
    best = best_of(f)
    low, high = best["accuracy_low"], best["accuracy_high"]
    clearly = f.chance_p < 0.05 and not low <= f.chance
    text = (
        f"Probably between {percent(low)} and {percent(high)} % (95 % interval). It is"
        f" {'' if clearly else 'not '}clearly better than chance,"
        f" {percent(f.chance)} %."
    )
    if not f.excluded and not f.choice:
        text += " It is the only configuration, so there is nothing to compare it with."
    return text


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
    if f.recordings == len(ranking_of(f).best.clip_ids) and not f.groups:
        return f"{counted(f.recordings, 'clip')}, each counted as a recording,"
    return counted(f.recordings, f.unit)


@sentence
def combine(f: "Findings") -> str:
    """The gain of the best set by one of its features, or of another by one more."""
    features = [gain for gain in f.gains if gain["kind"] == "features"]
    if not features:
        return ""
    best = best_of(f)["run"]
    into = [gain for gain in features if gain["with"] == best]
    chosen = into or [gain for gain in features if gain["without"] == best]
    real = [gain for gain in chosen if not gain["control"]]
    controls = [gain for gain in chosen if gain["control"]]
    texts = [added(f, gain) for gain in real[:2]]
    texts += [f"Control: {added(f, gain)}" for gain in controls[:1]]
    return " ".join(texts)


def added(f: "Findings", gain: Row) -> str:
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
def classes(f: "Findings") -> str:
    """The classes that fail most."""
    return by_metric("classes", f) if f.main else ""


@sentence
def classes_accuracy(f: "Findings") -> str:
    if not f.hardest:
        return ""
    if f.hardest[0]["recall"] == 1:
        return "Every test clip of every class is predicted correctly."
    failing = [row for row in f.hardest if row["recall"] != 1]
    failing.sort(key=itemgetter("recall"))
    texts = [
        f"{listed([row['class'] for row in rows])} ({percent(recall)} %)"
        for recall, rows in groupby(failing, itemgetter("recall"))
    ]
    return f"Lowest recall: {', '.join(texts)}."


@sentence
def chance_accuracy(f: "Findings") -> str:
    chance = percent(f.chance)
    return f"Always answering the commonest class is right for {chance} % of the clips"
