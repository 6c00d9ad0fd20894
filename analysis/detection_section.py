"""The report's section about recordings: scores of the detections in the tested folds,
and a time line.
"""

import base64
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from featurestack.analysis.clips import compressed
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.runs import Run
from featurestack.features_cache import Cache
from featurestack.features_cache.table import is_windowed, label_indicator
from featurestack.results.bootstrap import accuracy_interval
from featurestack.results.events import (
    ALL,
    BACKGROUND,
    compare,
    detection_scores,
    join_windows,
    middles,
)
from featurestack.results.tags import cross_fitted_thresholds, fold_ranks

EXCERPT = 20.0  # longest time line, seconds


def annotated_events(cache: Cache) -> pd.DataFrame | None:
    """Events of the cache's recordings, from `events.csv` beside its source.

    None if there is no such file, or the clips are not windows of recordings.
    """
    source = Path(str(cache.settings["source"])).with_name("events.csv")
    if not is_windowed(cache.clips) or not source.is_file():
        return None
    events = pd.read_csv(
        source, dtype={"file": str, "label": str}, keep_default_na=False
    )
    return events[events["file"].isin(cache.clips["path"])]


def submit_detections(
    writer: FigureWriter, run: Run, cache: Cache, events: pd.DataFrame
) -> tuple[pd.DataFrame, str, str]:
    """Submit a time line of one recording; return scores by class, the recording's name
    and its audio.

    The audio is MP3 as base64, or '' if the recording cannot be read. A class's
    threshold in a fold has the highest F1 on the windows of the other folds. Only the
    row of all classes has intervals, from a bootstrap over recordings.
    """
    clips = cache.clips.set_index("clip_id").loc[run.clip_ids]
    order = np.lexsort((clips["start"], clips["path"]))
    windows = clips.iloc[order].rename(columns={"path": "file"})
    windows["label"] = windows["label"].replace("", BACKGROUND)
    windows = windows.reset_index(drop=True)
    names = list(run.classes)
    events = events[events["file"].isin(windows["file"]) & events["label"].isin(names)]
    target = label_indicator(windows["label"], names)
    probabilities = run.probabilities.mean(axis=0)[order]
    folds = run.folds[order]
    predicted = probabilities > cross_fitted_thresholds(target, probabilities, folds)
    chosen = pd.DataFrame(predicted, columns=names)
    ranks = pd.DataFrame(fold_ranks(probabilities, folds), columns=names)
    hop = float(windows.groupby("file")["start"].diff().mode()[0])
    scores = detection_scores(windows, chosen, ranks, hop, events)

    detections = join_windows(middles(windows, hop), chosen, ranks)
    items = compare(events, detections)
    found = items[~items["detected"]]
    sounding = chosen.columns != BACKGROUND
    hits = (target & predicted)[:, sounding].sum(axis=1)
    either = target[:, sounding].sum(axis=1) + predicted[:, sounding].sum(axis=1)
    measures = {  # name -> (table with the recording of each value, values, weights)
        "window_f1": (windows, 2 * hits / np.maximum(either, 1), either),
        "event_recall": (found, found["shared"], np.ones(len(found))),
        "f1_iou": (items, items["iou"], np.ones(len(items))),
        "f1_collar": (items, items["collar"], np.ones(len(items))),
    }
    for name, (rows, values, weights) in measures.items():
        column = np.asarray(values, float)[:, None]
        interval = accuracy_interval(column, rows["file"].to_numpy(str), weights)[0]
        scores.loc[ALL, [f"{name}_low", f"{name}_high"]] = interval

    by_recording = items.groupby("file")["iou"].mean().sort_values(kind="stable")
    file = str(by_recording.index[len(by_recording) // 2])  # its F1 is the median
    begin = float(max(0.0, events["start"][events["file"] == file].min() - 1))
    end = min(begin + EXCERPT, float(windows["end"][windows["file"] == file].max()))
    shown = {
        side: table[
            (table["file"] == file) & (table["end"] > begin) & (table["start"] < end)
        ]
        for side, table in {"events": events, "detections": detections}.items()
    }
    writer.submit("time_line", begin=begin, end=end, **shown)
    with suppress(OSError, soundfile.LibsndfileError):
        return (
            scores,
            Path(file).name,
            base64.b64encode(compressed(Path(file), begin, EXCERPT)).decode(),
        )
    return scores, Path(file).name, ""
