"""Whether artefacts of recording and editing predict the class.

Level, padding, clipping and bandwidth should not predict it: if they do, a score may
come from them and not from the sound.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import mean_percent, percent
from featurestack.commandline.terminal import progress
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.table import (
    by_label,
    has_tags,
    has_windows,
    label_indicator,
)
from featurestack.pipeline.checks.findings import NOTE, WARNING, Finding
from featurestack.pipeline.checks.measures import ARTEFACTS
from featurestack.results.linear import fit
from featurestack.results.tags import auroc

OF_ARTEFACTS = 1.0  # C of the classifier of a handful of numbers
ARTEFACT_HELP = "make them the same in all classes: docs/howto/datasets.md#artefacts"


def linear_accuracies(
    table: pd.DataFrame, values: NDArray[np.floating], strength: float = OF_ARTEFACTS
) -> NDArray[np.float64]:
    """(folds,) test accuracies of a logistic regression on `values` (clips, d); for
    tags macro AUROC of classes that every side has. RequestError if folds lack classes.
    """
    tagged = has_tags(table)
    if tagged:
        names = sorted({*by_label(table)["label"]} - {""})
        targets = label_indicator(table["label"], names)
    else:
        targets, names = pd.factorize(table["label"], sort=True)
    row_of = pd.Index(table["clip_id"]).get_indexer
    splits = [fold_split(table, fold) for fold in sorted(table["fold"].unique())]
    rows = [(row_of(split.train), row_of(split.test)) for split in splits]
    learnable = bool(rows)
    if tagged:
        shares = [targets[side].mean(axis=0) for both in rows for side in both]
        known = np.all([(share > 0) & (share < 1) for share in shares], axis=0)
        targets = targets[:, known]
        learnable &= targets.size > 0
    else:
        learnable &= all(len({*targets[train]}) > 1 for train, _ in rows)
    if not learnable:
        raise RequestError("a classifier needs clips of two classes in every fold")
    scores = []
    for train, test in rows:
        classes = targets.shape[1] if tagged else len(names)
        model = fit(values[train], targets[train], classes, strength)
        logits = model.logits(values[test])
        if tagged:
            scores.append(auroc(targets[test], logits).mean())
        else:
            scores.append((logits.argmax(axis=1) == targets[test]).mean())
    return np.array(scores)


def artefact_findings(table: pd.DataFrame) -> list[Finding]:
    """A finding on the accuracy of a linear classifier of artefacts alone; none for
    windows of recordings, whose level shows whether they hold an event.
    """
    if has_windows(table):
        return []
    try:
        scores = linear_accuracies(table, table[ARTEFACTS].to_numpy(float))
    except RequestError:
        return []
    metric, constant = "accuracy", "always the commonest class"
    chance = float(table["label"].value_counts(normalize=True).max())
    if has_tags(table):
        metric, constant, chance = "macro AUROC", "chance", 0.5
    mean = float(scores.mean())

    def above_chance(scores: NDArray[np.float64]) -> bool:
        return bool(scores.mean() - 2 * scores.std(ddof=1) > chance)

    what = (
        "a linear classifier of artefacts alone reaches"
        f" {mean_percent(scores.tolist())} {metric} (n = {len(scores)} folds;"
        f" {constant}: {percent(chance)} %)"
    )
    found = Finding("artefacts", NOTE, what, ARTEFACTS, "", "measure", mean, chance)
    if not above_chance(scores):
        return [found]
    alone = {
        name: linear_accuracies(table, table[[name]].to_numpy(float))
        for name in progress(ARTEFACTS, label="artefacts", unit="measures")
    }
    first, *others = sorted(alone, key=lambda name: -alone[name].mean())
    predicting = [first, *(name for name in others if above_chance(alone[name]))]
    names = [f"{name} {percent(alone[name].mean())} %" for name in predicting]
    return [replace(found, severity=WARNING, names=names, remedy=ARTEFACT_HELP)]
