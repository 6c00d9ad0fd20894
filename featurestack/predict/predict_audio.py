"""The commands `predict` and `verify`, which refuse what is wrong before torch is
loaded.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from featurestack.base.errors import RequestError
from featurestack.base.extras import OPTIONS
from featurestack.base.options import no_effect
from featurestack.base.own_files import own_file
from featurestack.base.registry import object_at
from featurestack.base.table_files import as_csv
from featurestack.base.terminal import tell, text_table
from featurestack.features_cache.cache import find_cache
from featurestack.pipeline.datasets.readers import find_recordings
from featurestack.predict.options import PredictOptions, VerifyOptions, class_thresholds
from featurestack.results.run_names import select_one

if TYPE_CHECKING:
    from featurestack.predict.model import Model

NO_ANSWER = "no answer"
SHOWN = 5  # classes of a file that are printed, the most probable first
RECORD = ".answers.json"  # names the files that `predict` wrote
ENDINGS = (".csv", ".json")  # possible endings of OUT
# options that have no effect on a request
LIMITS = ("threshold", "gate", "reject")
OF_SOUNDS = ("hop", "out", "check", "next", *LIMITS)
WITHOUT_EFFECT = {
    "CHECKED=": ("audio", "channel", "run", "device", "threads", *OF_SOUNDS),
    "DATASET= without AUDIO=": ("promise", *OF_SOUNDS),
    "AUDIO=": ("promise",),
}


def show(table: pd.DataFrame, classes: list[str], *, tags: bool) -> None:
    """Print a row for each answer: its place, then its most probable classes."""
    places = [name for name in ("file", "start", "end") if name in table]
    rows = []
    for _, row in table.iterrows():
        best = row[classes].astype(float).nlargest(SHOWN)
        cells = [f"{name} {p:.3f}" for name, p in best.items()]
        if tags:
            cells = [row["predicted"] or "none", *cells]
        elif not row["predicted"]:
            cells = [NO_ANSWER] + [""] * (len(cells) - 1)
        rows.append([*row[places], *cells])
    ranks = [f"{rank}." for rank in range(1, min(SHOWN, len(classes)) + 1)]
    predicted = ["predicted"] if tags else []
    print(text_table(rows, [*places, *predicted, *ranks]))


def as_text(table: pd.DataFrame, classes: list[str], ending: str) -> str:
    if ending == ".csv":
        return as_csv(table)
    probabilities = table[classes].to_dict("records")
    rows = table.drop(columns=classes).assign(probabilities=probabilities)
    return json.dumps(rows.to_dict("records"), indent=1) + "\n"


def predict_audio(options: PredictOptions) -> int:
    """Predict the classes of new audio by a trained model, or score it on another
    dataset; 1 if a file could not be read.
    """
    elsewhere = options.audio is None  # DATASET is another dataset
    request = "DATASET= without AUDIO=" if elsewhere else "AUDIO="
    if options.checked:
        request = "CHECKED="
    if told := no_effect(options, WITHOUT_EFFECT[request], request):
        tell(told)
    if options.checked:
        status: int = object_at(OPTIONS["checked"])(options)
        return status
    if elsewhere and not options.dataset:
        raise RequestError(
            "give AUDIO=a file or a folder, or DATASET=another labelled dataset"
        )
    run = None
    if not Path(options.run).is_file():
        place = "" if elsewhere else options.dataset, options.data
        dataset, _ = find_cache(*place, "" if elsewhere else options.name)
        run = select_one(options.runs, options.run, dataset, data=options.data)
        class_thresholds(options.threshold, run.classes, {})
    if options.audio is None:
        from featurestack.predict.files import score_elsewhere  # few need it

        return score_elsewhere(options)
    files = find_recordings(options.audio)
    from featurestack.predict.model import Model  # loads torch

    return predict_clips(options, Model.open(options), files)


def predict_clips(
    options: PredictOptions, model: "Model", files: Mapping[str, Path]
) -> int:
    """Print the classes of files, or of windows through recordings that are longer than
    the run's clips; with THRESHOLD or CHECK these become detections.
    """
    from featurestack.predict.files import (
        default_hop,
        predict_files,
        predict_recordings,
        tell_model,
    )

    named = {str(file): file for file in files.values()}
    hop = options.hop or default_hop(model, files.values())
    detecting = bool(options.check or (hop and options.threshold))
    of_file = bool(options.out and options.out.suffix in ENDINGS)
    if of_file and options.check:
        raise RequestError(
            f"OUT={options.out}: expected a folder, because CHECK= writes several files"
        )
    if "check" not in OPTIONS or of_file:
        detecting = False
    of_one_label = not (detecting or model.task.multilabel)
    if of_one_label and (
        told := no_effect(options, ["threshold"], "clips of one label")
    ):
        tell(told)
    own = None
    if options.out and not detecting:
        if options.out.suffix not in ENDINGS:
            raise RequestError(
                f"OUT={options.out}: expected a file ending in .csv or .json"
            )
        own = own_file(options.out, RECORD, "OUT=")
    tell_model(model, files, options.data)
    if hop or detecting:
        table = predict_recordings(model, named, hop or model.window)
    else:
        table = predict_files(model, named).reset_index(names="file")
    if options.next and len(table):
        object_at(OPTIONS["next"])(options, model, files, table)
    if detecting:
        object_at(OPTIONS["check"])(options, model, files, table)
        return int(table["file"].nunique() < len(files))
    if len(table):
        show(table, model.classes, tags=model.task.multilabel)
    if own and options.out:
        text = as_text(table, model.classes, options.out.suffix)
        own.write({options.out.name: text})
    return int(table["file"].nunique() < len(files))


def verify(options: VerifyOptions) -> int:
    """Check the feature maps of a cache for damage; 1 if there is any."""
    from featurestack.features_cache.cache import cache_of, verify_cache

    cache = cache_of(options.dataset, options.data, options.name, options.features)
    texts, intact = zip(*verify_cache(cache, options.features).values())
    print(*texts, sep="\n")
    return 0 if all(intact) else 1
