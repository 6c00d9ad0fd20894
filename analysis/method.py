"""How the numbers of a report were computed: the meaning of the score, its interval,
chance, and the comparison of runs.
"""

from featurestack.analysis.findings import Findings
from featurestack.analysis.sentences import (
    by_metric,
    folds,
    ranking_of,
)
from featurestack.commandline.quantities import counted, listed, percent, plural
from featurestack.scores.significance import FAMILY_LEVEL


def method(f: Findings) -> str:
    """The meaning of the score, its interval, and chance."""
    return by_metric("method", f, METHOD)


def method_accuracy(f: Findings) -> str:
    what = "Accuracy is the share of test clips that are predicted correctly"
    if len(ranking_of(f).folds) > 1:
        what += f", over {folds(f)}; SD is the standard deviation over the folds"
    text = (
        f"{what}. Seeds are averaged."
        " The 95 % interval is Wilson’s with the standard error of a bootstrap"
        f" over {counted(f.recordings, f.unit)}; it does not"
        f" include the variation between trainings. {grouped(f)} Chance,"
        f" {percent(f.chance)} %, is the share of the commonest class."
    )
    main = ranking_of(f)
    if main.uneven:
        text += (
            " The classes are uneven, so the balanced accuracy is compared with chance:"
            f" every constant prediction has {percent(main.against_chance.chance)} % of"
            " it."
        )
    return text


def method_map(f: Findings) -> str:
    return (
        "mAP is the mean over the classes of average precision; clips of all folds are"
        " ordered by their rank within the fold, because the models of two folds are"
        " calibrated separately. The mAP of several seeds is their mean. SD is over the"
        " folds' own mAP, which is higher for rare classes. The 95 % interval is from"
        f" a bootstrap over {counted(f.recordings, f.unit)}; runs are compared"
        f" by jackknife values of mAP by {f.unit}. F1 is at thresholds fitted on the"
        f" other folds. {grouped(f)}"
        f" Chance, {percent(f.chance)} %, is what a random order of each fold's clips"
        " gets on average."
    )


def grouped(f: Findings) -> str:
    """Says that no group is on both sides of a split."""
    if tables := [run.name for run in ranking_of(f).runs if run.imported]:
        which = f"which {plural(f.group)} {listed(tables)} was trained on"
        return f"The tables of predictions do not say {which}."
    known = "" if f.groups else ", as the dataset groups them,"
    return f"Clips of one {f.group}{known} are never in both training and test."


def tested(f: Findings) -> str:
    """The comparison of configurations, and when a difference is clear."""
    if len(f.ranked) < 2 or f.state == "untested":
        return ""
    text = (
        "Each configuration is compared with the best by a sign-flip test, paired by"
        f" {f.unit}"
    )
    if len(f.ranked) > 2:
        text += f" and corrected for all {len(f.ranked) - 1} comparisons"
    return (
        f"{text}. The intervals of differences come from the same test; the interval of"
        f" each {f.score} is not corrected. A difference is clear if p is below"
        f" {FAMILY_LEVEL}, so that these comparisons and those under “Ablations”"
        " together make a false claim in at most 5 % of reports."
    )


METHOD = {"accuracy": method_accuracy, "map": method_map}
