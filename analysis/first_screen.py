"""Beside the first sentences of a report: forest plot, small confusion matrix, common mistake.

The forest plot has a panel a family of runs that differ in their features alone, and one panel of all, on one
axis. A dot is filled if its run does not differ clearly from the best of the whole ranking.
"""

from itertools import chain

import numpy as np

from analysis import tables
from analysis.findings import Findings, Row
from analysis.ranking import setting
from analysis.runs import Run
from results.scores import Floats, most_confused

CLASSES_SHOWN = 12  # in the small confusion matrix; of more classes, those of the most frequent errors


def forest_panels(found: Findings) -> dict[str, list[Row]]:
    """The rows of the main ranking by family, the best run's first, unless it stands there alone."""
    ranked = found.runs[: len(found.rows)]
    trained = [run for run in ranked if run.trained]
    families: dict[str, list[Row]] = {}
    for run, row in zip(ranked, found.rows):
        family = setting(run, trained, {"tag"}) if run.trained else "ensembles of runs"
        families.setdefault(family, []).append(row)
    if len(families) == 1:
        return families
    every = {"all": list(found.rows)}
    return every | families if len(next(iter(families.values()))) == 1 else families | every


def classes_shown(counts: Floats) -> list[int]:
    """The rows of a confusion matrix that its small form shows: those of the most frequent errors."""
    classes = dict.fromkeys(chain(*most_confused(counts, counts.size), range(len(counts))))
    return sorted([*classes][:CLASSES_SHOWN])


def common_mistake(run: Run) -> Row | None:
    """The most frequent error of a run, and two clips to compare; None if it predicts everything correctly.

    true, predicted, count, of, share as in `confused_pairs`; wrong, the id of the mistaken clip of which the
    run was surest; right, of the surest correct one of the class that was predicted, '' if there is none;
    equals, how many other pairs of classes are as frequent.
    """
    pairs = tables.confused_pairs(run, len(run.classes) ** 2)
    if pairs.empty:
        return None
    first = pairs.iloc[0]
    true = run.classes.index(first["true"])
    predicted = run.classes.index(first["predicted"])
    sure = run.probabilities.mean(axis=0)[:, predicted]
    as_predicted = run.predicted == predicted
    mistaken = (run.target == true) & as_predicted.any(axis=0)
    correct = (run.target == predicted) & as_predicted.all(axis=0)
    wrong, right = (
        str(run.clip_ids[np.where(mask, sure, -1).argmax()]) if mask.any() else ""
        for mask in (mistaken, correct)
    )
    equals = int((pairs["count"] == first["count"]).sum()) - 1
    return {**first.to_dict(), "wrong": wrong, "right": right, "equals": equals}
