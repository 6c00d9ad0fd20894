"""Predictions of another program, or of a run on another dataset, as a run folder.

What would flatter: a clip without a prediction that is left out, or a tie between the
true class and another that counts as right if its name comes first. Both count as
wrong.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.json_content import digest
from featurestack.base.own_files import Taken
from featurestack.compare.metrics import (
    Floats,
    Labels,
    indicator,
    lost_ties,
    remark_on_ties,
)
from featurestack.features_cache.clip_table import SEPARATOR, refuse_class_names
from featurestack.results.config import RUN_FORMAT, RunConfig, SoundClass
from featurestack.results.run_folder import (
    RunFolder,
    claim_run,
    folder_name,
    write_config,
    write_predictions,
)
from featurestack.results.tasks import TASKS

MODEL = "predictions"  # value of `model` in run.json
PROTOCOL = "predictions of another program"


@dataclass(frozen=True, eq=False)
class ImportedPredictions:
    """The predictions of one model for labelled clips, rows as in `clips`."""

    # clip_id, target, group, fold (text), and WINDOW_COLUMNS if clips are windows
    clips: pd.DataFrame
    scores: pd.DataFrame  # a column for each class; a row of zeros is not a prediction
    task: str  # classes, categories or tags
    remarks: tuple[str, ...] = ()
    table: str = ""  # digest of the dataset's table, if it has the labels


def write_imported(
    predictions: ImportedPredictions,
    place: Path,
    *,
    source: str,
    protocol: str = PROTOCOL,
) -> RunFolder:
    """Write the run folder `place`, runs/<dataset>/<name>, and return it; it replaces a
    folder of the same source. RequestError if the clips have one label.
    """
    clips, scores = predictions.clips, predictions.scores
    labels = clips["target"].str.split(SEPARATOR).explode()
    if clips["target"].nunique() < 2:
        raise RequestError(
            f"{source}: all clips have one label, {clips['target'].iloc[0]!r}: expected"
            " two classes or more"
        )
    classes = sorted({*scores} | ({*labels} - {""}))
    refuse_class_names(classes)
    remarks = predictions.remarks
    values = scores.reindex(columns=classes, fill_value=0.0).to_numpy(float)
    if not TASKS[predictions.task].multilabel:
        target = pd.Index(classes).get_indexer(clips["target"])
        true = indicator(target, len(classes))
        values = shares_of_one(values, true)
        remarks = tuple(filter(None, [*remarks, remark_on_ties(values, true)]))
        values = lost_ties(values, true)
    fold_of = fold_numbers(clips["fold"])
    name = folder_name(place.name, "", (), digest([source])).removesuffix("-")
    numbers = sorted({*fold_of.values()})
    run = RunFolder(place.with_name(name))
    try:
        if (run.path / "run.json").exists() and run.config.source != source:
            raise Taken(run.config.source)
        claim_run(run.path, numbers, identity=source)
    except Taken:  # by a run of another source: this one is next to it
        run = RunFolder(place.with_name(f"{name}-{digest(source)[:6]}"))
        claim_run(run.path, numbers, identity=source)
    # first: a kill in between leaves no run of two tables
    (run.path / "run.json").unlink(missing_ok=True)
    rows = clips.assign(split="test", selection="last")
    for fold, part in rows.groupby(clips["fold"].map(fold_of)):
        of_fold = values[rows.index.get_indexer(part.index)]
        write_predictions(
            run.fold(int(fold)), part, of_fold.astype(np.float32), classes
        )
    config = RunConfig(
        format_version=RUN_FORMAT,
        made_by="import",
        dataset=place.parent.name,
        task=predictions.task,
        folds=tuple(numbers),
        classes=tuple(SoundClass(name=name, category="") for name in classes),
        features=run.name,
        model=MODEL,
        exact=True,  # a table has no seeds
        family=digest([source, run.name]),
        hash=digest([source, run.name]),
        protocol=protocol,
        clips=predictions.table,
        source=source,
        remarks=remarks,
    )
    write_config(run.path, config)
    return RunFolder(run.path)  # which has read no older run.json


def shares_of_one(values: Floats, labels: Labels) -> Floats:
    """(N, K) probabilities whose sum is 1, as exact as they are stored. A clip without
    a prediction gets all classes but its own with equal probability.
    """
    silent = values.sum(axis=1, keepdims=True) == 0
    values = np.where(silent, ~labels, values)
    shares = values / values.sum(axis=1, keepdims=True)
    return shares.astype(np.float32).astype(float)


def fold_numbers(folds: "pd.Series[str]") -> dict[str, int]:
    """The number of each fold: its own, else its place among the sorted names."""
    names = sorted(folds.unique())
    if all(re.fullmatch(r"\d{1,6}", name) for name in names):
        return {name: int(name) for name in names}
    return {name: place for place, name in enumerate(names, 1)}
