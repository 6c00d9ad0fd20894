"""Sentences on the computation of a report's numbers."""

import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.sentences import by_metric, folds, ranking_of, sentence
from featurestack.analysis.tables import decimals
from featurestack.commandline.quantities import counted, percent, plural


@sentence
def method(f: Findings) -> str:
    """The meaning of the score, its interval, and chance."""
    return by_metric("method", f)


@sentence
def method_accuracy(f: Findings) -> str:
    what = "Accuracy is the share of test clips that are predicted correctly"
    if len(ranking_of(f).folds) > 1:
        what += f", over {folds(f)}; SD is the standard deviation over the folds"
    return (
        f"{what}. Seeds are averaged."
        " The 95 % interval is Wilson’s with the standard error of a bootstrap"
        f" over {counted(f.recordings, f.unit)}; it does not"
        f" include the variation between trainings. {grouped(f)} Chance,"
        f" {percent(f.chance)} %, is the share of the commonest class."
    )


def grouped(f: Findings) -> str:
    """Says that no group is on both sides of a split."""
    if ranking_of(f).best.foreign:
        return f"The table does not say which {plural(f.group)} its author trained on."
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
        f" {decimals(error)}; a perfectly calibrated one would have about"
        f" {decimals(least)}"
    )
    text += ", so no miscalibration can be shown." if error <= least else "."
    scaled = f.best["calibration_scaled"]
    if pd.notna(scaled):
        text += (
            " Temperature scaling, fitted on the other folds, makes it"
            f" {decimals(scaled)}."
        )
    return text


@sentence
def curve_note(augment: object, smoothing: float) -> str:
    """Why the training loss lies above the test loss."""
    harder = ""
    if augment:
        harder = f"training clips are augmented ({augment}), which makes them harder; "
    if smoothing:
        harder += (
            f"labels are smoothed ({smoothing}), so that no prediction has a loss of"
            " 0; "
        )
    return (
        f"The training loss lies above the test loss, because {harder}it is a mean over"
        " the epoch while the network learns, and the test fold is scored at its end."
    )
