"""What to label next, and which labels to doubt.

`make predict AUDIO=field RUN=last NEXT=50` writes next.csv: the files, or windows of
recordings, whose labels should teach a model most. The report lists the clips whose
label its best run contradicts most, with their sound.

Clips with uncertain predictions are harder than others, and a score without the clips
whose labels are contradicted is too high: neither table changes which clips are tested.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.analysis.clips import clip_audio
from featurestack.analysis.page import Report, Section
from featurestack.analysis.report.tables import declare
from featurestack.base.files import without_dots
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import tell
from featurestack.comparison.metrics import Floats, Ints
from featurestack.predict.options import PredictOptions

if TYPE_CHECKING:
    from featurestack.predict.model import Model

NEXT, RECORD = "next.csv", ".next.json"  # the table, and the record that it is ours
SUSPECTS = 20
AUDIO = 400_000  # characters of embedded audio on the page


def doubts(probabilities: Floats, *, tags: bool) -> Floats:
    """(N,) how uncertain a prediction is: 1 minus the difference between the two
    highest probabilities or, for tags, between presence and absence of the least
    certain class.
    """
    if tags:
        return 1 - np.abs(2 * probabilities - 1).min(axis=1)
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return 1 - (first - second)


def first_to_label(
    probabilities: Floats, recordings: NDArray[np.generic], *, tags: bool = False
) -> Ints:
    """The order in which clips should be labelled, by their probabilities (N, K) and
    recordings (N,): it takes recordings in turn, and among them the most probable
    classes, and begins with the least certain clip of each.
    """
    order = np.argsort(-doubts(probabilities, tags=tags), kind="stable")
    clips = pd.DataFrame({"class": probabilities.argmax(axis=1), "file": recordings})
    turns = [clips.iloc[order].groupby(column).cumcount() for column in clips]
    return order[np.lexsort(turns)]


def write_next(
    options: PredictOptions, model: "Model", table: pd.DataFrame, folder: Path
) -> None:
    """Write next.csv: NEXT of the files, or of the windows that do not overlap, with
    the paths that a dataset's table has.
    """
    own_files = OwnFiles(folder, RECORD)
    own_files.require(NEXT, "OUT=")
    if "start" in table:
        step = math.ceil(model.window / (options.hop or model.window / 4))
        table = table[table.groupby("file").cumcount() % step == 0]
    probabilities = table[model.classes].to_numpy(float)
    files_of, tags = table["file"].to_numpy(), model.task.multilabel
    order = first_to_label(probabilities, files_of, tags=tags)[: options.next]
    rows = table[["file", *table.columns.intersection(["start", "end"])]].iloc[order]
    likely = np.array(model.classes)[probabilities[order].argmax(axis=1)]
    paths = [str(without_dots(Path(file))) for file in rows["file"]]
    rows = rows.assign(file=paths, label="", likely=likely)
    rows["probability"] = probabilities[order].max(axis=1).round(4)
    rows = rows.rename(columns={"file": "filename"})
    own_files.write({NEXT: csv_text(rows)})
    tell(f"{folder / NEXT}: {counted(len(rows), 'row')} to label, in this order")


def contradictions(probabilities: Floats, target: Ints) -> Ints:
    """The indices of clips for which another class has a higher probability (N, K) than
    the label, the class `target` (N,); the largest difference comes first.
    """
    of_label = probabilities[np.arange(len(target)), target]
    difference = probabilities.max(axis=1) - of_label
    order = np.argsort(-difference, kind="stable")
    return order[difference[order] > 0]


declare(
    "suspects",
    "a clip whose label the best run contradicts",
    text={"clip_id": "Clip", "label": "Label", "predicted": "Predicted"},
    decimals={
        "of_label": "Probability of label",
        "of_predicted": "of predicted",
    },
)


def suspects(report: Report) -> Section | None:
    """The clips whose label the best run contradicts most."""
    main = report.found.main
    if main is None or main.metric.multilabel:
        return None
    best = report.found.best.run
    probabilities = best.probabilities.mean(axis=0)
    places = contradictions(probabilities, best.target)[:SUSPECTS]
    ids = best.clip_ids[places].tolist()
    table = pd.DataFrame({"clip_id": ids})
    columns = {"label": best.target, "predicted": probabilities.argmax(axis=1)}
    for name, numbers in columns.items():
        table[name] = np.array(best.classes)[numbers[places]]
        table[f"of_{name}"] = probabilities[places, numbers[places]]
    audio = {}
    if report.cache:
        audio = clip_audio(report.cache, ids, ids, report.job.folder, AUDIO)
    return Section(
        "Labels to check", tables={"suspects": table}, values={"audio": audio}
    )
