"""How a report computed its numbers."""

from typing import TYPE_CHECKING

import pandas as pd

from featurestack.analysis.sentences import (
    best_of,
    by_metric,
    folds,
    ranking_of,
    sentence,
)
from featurestack.analysis.tables import decimals
from featurestack.commandline.quantities import counted, percent

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings


@sentence
def method(f: "Findings") -> str:
    """The meaning of the score, its interval, and chance."""
    return by_metric("method", f)


@sentence
def method_accuracy(f: "Findings") -> str:
    what = "Accuracy is the share of correct test clips, seeds averaged."
    if len(ranking_of(f).folds) > 1:
        what = (
            f"Accuracy is the mean over {folds(f)} and SD the standard deviation over"
            " them, seeds averaged first."
        )
    return (
        f"{what} The 95 % interval is Wilson’s with the standard error of a bootstrap"
        f" over {counted(f.recordings, f.unit)}; it does not"
        f" include the variation between trainings. {grouped(f)} Chance,"
        f" {percent(f.chance)} %, is the share of the commonest class, averaged over"
        " folds."
    )


def grouped(f: "Findings") -> str:
    """Says that no group is on both sides of a split."""
    known = "" if f.groups else ", as the dataset groups them,"
    return f"Clips of one {f.group}{known} are never both trained on and tested."


@sentence
def tested(f: "Findings") -> str:
    """How configurations are compared, and when a difference is clear."""
    if len(f.rows) < 2 or f.state == "untested":
        return ""
    level = ranking_of(f).level
    text = (
        "Each configuration is compared with the best by a sign-flip test, paired by"
        f" {f.unit}, from which the intervals of differences come too"
    )
    if len(f.rows) > 2:
        text += f", corrected for all {len(f.rows) - 1} comparisons"
    text += f". A difference is clear if p is below {level}"
    if level == 0.05:
        text += (
            ". This level is right only if RUN= names two runs that were chosen before"
            " their results were known; otherwise read the report on all runs."
        )
    else:
        text += (
            ", so that these comparisons and those under “What one choice changes”"
            " together make a false claim in at most 5 % of reports."
        )
    if len({percent(row["accuracy"]) for row in f.rows}) < len(f.rows):
        text += (
            " Runs of equal accuracy can get different verdicts because they fail on"
            " different clips."
        )
    return text


@sentence
def selected(f: "Findings") -> str:
    """How much the choice of the best by its test score flatters it."""
    if pd.isna(f.nested):
        return ""
    nested = percent(f.nested)
    text = f"The best of {len(f.alike)} was chosen by its test score, which makes"
    if nested == percent(best_of(f)["accuracy"]):
        return (
            f"{text} no difference here: chosen on the other folds each time, it is the"
            " same."
        )
    return (
        f"{text} that score a little too high; chosen on the other folds each time, it"
        f" is {nested} %."
    )


@sentence
def calibrated(f: "Findings") -> str:
    """How well the best run's probabilities are calibrated."""
    if f.best is None:
        return ""
    error, least = f.best["calibration_error"], f.best["calibration_floor"]
    text = (
        "Expected calibration error of the best configuration, all folds together:"
        f" {decimals(error)}; a perfectly calibrated one would have about"
        f" {decimals(least)}"
    )
    text += ", so no miscalibration can be shown." if error <= least else "."
    scaled = f.best["calibration_scaled"]
    if pd.notna(scaled):
        text += (
            " After temperature scaling, fitted on the other folds:"
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
