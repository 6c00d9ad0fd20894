"""`python -m train curve`: the score against the number of training recordings.

A small model is trained on an eighth, a quarter, half and all of the training
recordings of each fold, and scored on all test clips. Parts are stratified, and each
lies within the next larger one. If the curve still rises at its end, more recordings
help more than another model. Windows of recordings also have the F1 of detections.
"""

from dataclasses import fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.tables import text_table
from featurestack.importance.folder import PARTS, Fit
from featurestack.importance.measure import (
    LoadedFolds,
    load_folds,
    make_importance_plan,
)
from featurestack.importance.options import CurveOptions, ImportanceOptions
from featurestack.results.detections import compare
from featurestack.results.tested_windows import FoldWindows, annotated_recordings
from featurestack.results.windows import Annotated

ALL = "all"


def measure_curve(options: CurveOptions) -> pd.DataFrame:
    """A row for each part of the training recordings: part, recordings and clips (means
    over folds), mAP or accuracy, and f1_iou if the clips are windows.

    measure_curve(CurveOptions(dataset="esc10", features="mel"))
    """
    asked = {own.name: getattr(options, own.name) for own in fields(options)}
    asked["features"] = options.features.replace(" ", "+")
    folds = load_folds(make_importance_plan(ImportanceOptions(**asked), least=1))
    plan = folds.importance.plan
    annotated = annotated_recordings(plan.cache)
    rows = []
    for part in (*PARTS, ""):
        fit = Fit(frozenset(folds.importance.names), part)
        probabilities = np.concatenate(
            [folds.answers(fold, fit) for fold in folds.data]
        )
        clips = [len(folds.trained_on(fold, part)) for fold in folds.data]
        row = {
            "part": part or ALL,
            "recordings": folds.recordings(part),
            "clips": float(np.mean(clips)),
            **part_score(folds, probabilities),
        }
        if annotated:
            row["f1_iou"] = detection_f1(folds, probabilities, annotated)
        rows.append(row)
    return pd.DataFrame(rows)


def part_score(
    folds: LoadedFolds,
    probabilities: NDArray[np.float32],
) -> dict[str, float]:
    """The task's score of the test clips of all folds (N, K)."""
    plan = folds.importance.plan
    labels = plan.indicator(folds.tested)
    fold_of_clip = plan.cache.clips["fold"].to_numpy()[folds.tested]
    score = plan.task.metric.pooled_score(labels, probabilities, fold_of_clip)
    return {plan.task.metric.column: score}


def detection_f1(
    folds: LoadedFolds,
    probabilities: NDArray[np.float32],
    annotated: Annotated,
) -> float:
    """F1 at IoU 0.3 of all classes, by joining rules from the other folds."""
    plan = folds.importance.plan
    clips = plan.cache.clips.iloc[folds.tested]
    tested = FoldWindows.of_clips(
        clips,
        clips["fold"].to_numpy(),
        pd.DataFrame(probabilities, columns=plan.names),
        annotated,
    )
    detections = tested.cross_fitted().detections
    return float(compare(tested.events, detections)["iou"].mean())


def summary(curve: pd.DataFrame) -> str:
    """The curve as a table, and what its end says."""
    names = {
        "part": "part of the recordings",
        "map": "mAP",
        "f1_iou": "detections: F1 at IoU 0.3",
    }
    digits = {"recordings": 1, "clips": 0, "accuracy": 3, "map": 3, "f1_iou": 3}
    cells = [
        [f"{value:,.{digits[name]}f}" if name in digits else value for value in column]
        for name, column in curve.items()
    ]
    header = [names.get(str(name), str(name)) for name in curve]
    last = curve.columns[-1]
    gain = curve[last].iloc[-1] - curve[last].iloc[-2]
    table = text_table(list(zip(*cells)), header)
    return (
        f"{table}\nthe second half of the recordings brings {gain:+.3f} in"
        f" {header[-1]}; the model is small, so only the shape of the curve counts"
    )
