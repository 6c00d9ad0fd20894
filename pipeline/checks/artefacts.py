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
from featurestack.features_cache.splits import fold_split
from featurestack.features_cache.table import (
    by_label,
    has_tags,
    has_windows,
    label_indicator,
)
from featurestack.pipeline.checks.findings import NOTE, WARNING, Finding
from featurestack.pipeline.checks.measures import ARTEFACTS

ARTEFACT_HELP = "make them the same in all classes: docs/howto/datasets.md#artefacts"


def linear_accuracies(
    table: pd.DataFrame,
    values: NDArray[np.floating],
    strength: float = 1.0,
) -> NDArray[np.float64]:
    """(folds,) test accuracies of a logistic regression on `values` (clips, d), split
    as for training; `strength` is its C.

    For tags, macro AUROC over the classes with positive and negative clips on both
    sides of every split. RequestError if no class is left, or a fold leaves fewer than
    two classes to train on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    row_of = pd.Index(table["clip_id"]).get_indexer
    splits = [fold_split(table, fold) for fold in sorted(table["fold"].unique())]
    rows = [(row_of(split.train), row_of(split.test)) for split in splits]
    labels = table["label"].to_numpy()
    regression = LogisticRegression(C=strength, max_iter=1000)
    scoring = "accuracy"
    if tagged := has_tags(table):
        regression = OneVsRestClassifier(regression)
        scoring = "roc_auc"
        labels = label_indicator(
            labels, sorted({*by_label(table)["label"]} - {""})
        ).astype(int)
        sides = [labels[side].mean(axis=0) for both in rows for side in both]
        labels = labels[
            :, np.all([(share > 0) & (share < 1) for share in sides], axis=0)
        ]
    if (
        not rows
        or not labels.size
        or (not tagged and any(len({*labels[train]}) < 2 for train, _ in rows))
    ):
        raise RequestError("a classifier needs clips of two classes in every fold")
    model = make_pipeline(StandardScaler(), regression)
    # threads would wait for one another longer than these small products take
    with threadpool_limits(1):
        return cross_val_score(model, values, labels, cv=rows, scoring=scoring)


def artefact_findings(table: pd.DataFrame) -> list[Finding]:
    """A finding on the accuracy of a linear classifier of artefacts alone, on the
    dataset's folds.

    No finding for windows of recordings, whose level shows whether they hold an event,
    which is no artefact; none either if there are too few folds or classes.
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
        for name in ARTEFACTS
    }
    first, *others = sorted(alone, key=lambda name: -alone[name].mean())
    predicting = [first, *(name for name in others if above_chance(alone[name]))]
    names = [f"{name} {percent(alone[name].mean())} %" for name in predicting]
    return [replace(found, severity=WARNING, names=names, remedy=ARTEFACT_HELP)]
