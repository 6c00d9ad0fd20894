"""Sentences on the computation of a report's numbers, and notes: what to type next,
media.
"""

import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.sentences import (
    by_metric,
    folds,
    listed,
    ranking_of,
    sentence,
)
from featurestack.commandline.quantities import counted, percent, plural, rounded

# kind of a proposal -> what its command does
NEXT = {
    "extract": "extracts the features of the present clips",
    "first": "a first run",
    "untrainable": "lists classes and folds; training needs two of each",
    "check": (
        "looks for the same audio in different folds, and for recording conditions that"
        " predict the class"
    ),
    "again": "trains these runs again on the present clips",
    "folds": "trains the missing folds",
    "combine": "shows what combining gains",
    "different": "tries other features: none of these is clearly better than chance",
    "network": "a small network on the same features",
    "predict": "predicts new recordings",
    "paper": "writes figures, tables and a methods paragraph for a paper",
}


@sentence
def method(f: Findings) -> str:
    """The meaning of the score, its interval, and chance."""
    return by_metric("method", f)


@sentence
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


@sentence
def method_map(f: Findings) -> str:
    from featurestack.scores.mean_average_precision import perfect_score

    main = ranking_of(f)
    swapped = f"by jackknife values of mAP by {f.unit}"
    if main.swaps:
        swapped = f"by swapping them in whole {plural(f.unit)}, in every pattern"
    text = (
        "mAP is the mean over the classes of average precision; clips of all folds are"
        " ordered by their rank within the fold, because the models of two folds are"
        " calibrated apart. The mAP of several seeds is their mean. SD is that of the"
        " folds' own mAP, which is higher for rare classes. The 95 % interval is from"
        f" a bootstrap over {counted(f.recordings, f.unit)}; runs are compared"
        f" {swapped}. F1 is at thresholds fitted on the other folds. {grouped(f)}"
        f" Chance, {percent(f.chance)} %, is what a random order of each fold's clips"
        " gets on average."
    )
    perfect = perfect_score(main.best)
    if perfect < 0.9995:
        text += (
            f" A perfect order would get {percent(perfect)} % in this way, because"
            " the folds differ in their prevalence."
        )
    return text


def grouped(f: Findings) -> str:
    """Says that no group is on both sides of a split."""
    if tables := [run.name for run in ranking_of(f).runs if run.foreign]:
        which = f"which {plural(f.group)} {listed(tables)} was trained on"
        return f"The tables of predictions do not say {which}."
    known = "" if f.groups else ", as the dataset groups them,"
    return f"Clips of one {f.group}{known} are never in both training and test."


@sentence
def calibrated(f: Findings) -> str:
    """The calibration of the best run's probabilities."""
    if f.best is None:
        return ""
    error, least = f.best["calibration_error"], f.best["calibration_floor"]
    text = (
        "The expected calibration error of the best configuration, over all folds, is"
        f" {rounded(error)}; a perfectly calibrated one would have about"
        f" {rounded(least)}"
    )
    text += ", so no miscalibration can be shown." if error <= least else "."
    scaled = f.best["calibration_scaled"]
    if pd.notna(scaled):
        text += (
            " Temperature scaling, fitted on the other folds, makes it"
            f" {rounded(scaled)}."
        )
    return text


@sentence
def media(wrong: int, embedded: int, total: int, linked: int) -> str:
    """The number of clips whose audio the page holds.

    wrong, embedded  clips that some run predicted wrongly, and how many the page holds
    total, linked    clips that it holds, and clips that are links to files
    """
    if not total and not linked:
        return (
            "The clips’ audio files are not on this machine, so there are no players."
        )
    if not wrong:
        return "Every run predicted every clip correctly."
    if embedded == wrong:
        of_all = "every clip" if wrong > 1 else "the one clip"
    else:
        of_all = f"{embedded} of the {counted(wrong, 'clip')}"
    text = f"The page contains the audio of {of_all} that some run predicted wrongly"
    return text + ("; others play where the page was made." if linked else ".")
