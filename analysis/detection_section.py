"""What the page says of windows of recordings: detections of the tested folds, scored, and a time line."""

import base64
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from analysis.clips import compressed
from analysis.figures import FigureWriter
from analysis.runs import Run
from features_cache import Cache
from features_cache.table import is_windowed
from results.bootstrap import accuracy_interval
from results.events import ALL, BACKGROUND, compare, detection_scores, join_windows, middles
from results.tags import cross_fitted_thresholds, fold_ranks

EXCERPT = 20.0  # seconds of the time line


def annotated_events(cache: Cache) -> pd.DataFrame | None:
    """`events.csv` beside the dataset's table, whose files are the cache's paths; None if there is none."""
    source = Path(str(cache.settings["source"])).with_name("events.csv")
    if not is_windowed(cache.clips) or not source.is_file():
        return None
    events = pd.read_csv(source, dtype={"file": str, "label": str}, keep_default_na=False)
    return events[events["file"].isin(cache.clips["path"])]


def submit_detections(
    writer: FigureWriter, run: Run, cache: Cache, events: pd.DataFrame
) -> tuple[pd.DataFrame, str, str]:
    """Scores of a run's detections by class, and of the time line its recording and its audio, MP3 in base64.

    Thresholds have the highest F1 on the windows of the other folds. Intervals are of all classes together,
    by recording.
    """
    clips = cache.clips.set_index("clip_id").loc[run.clip_ids]
    order = np.lexsort((clips["start"], clips["path"]))
    windows = clips.iloc[order].rename(columns={"path": "file"}).reset_index()
    windows["label"] = windows["label"].replace("", BACKGROUND)
    names = list(run.classes)
    events = events[events["file"].isin(windows["file"]) & events["label"].isin(names)]
    target = windows["label"].str.get_dummies(";").reindex(columns=names, fill_value=0).astype(bool)
    probabilities = pd.DataFrame(run.probabilities.mean(axis=0)[order], columns=names)
    folds = run.folds[order]
    thresholds = cross_fitted_thresholds(target.to_numpy(), probabilities.to_numpy(), folds)
    chosen = probabilities > thresholds
    ranks = pd.DataFrame(fold_ranks(probabilities.to_numpy(), folds), columns=names)
    hop = float(windows.groupby("file")["start"].diff().mode()[0])
    scores = detection_scores(windows, chosen, ranks, hop, events)

    detections = join_windows(middles(windows, hop), chosen, probabilities)
    items = compare(events, detections).assign(weight=1.0)
    sounding = [name for name in names if name != BACKGROUND]
    both = target[sounding].astype(int) + chosen[sounding]  # a hit is a window that is 2
    weight = both.sum(axis=1)
    f1 = (both == 2).sum(axis=1) * 2 / weight.clip(1)
    by_window = windows.assign(window_f1=f1, weight=weight)
    parts = {
        "window_f1": by_window,
        "event_recall": items[~items["detected"]].assign(event_recall=items["shared"]),
    }
    parts |= {f"f1_{name}": items.assign(**{f"f1_{name}": items[name]}) for name in ("iou", "collar")}
    for name, part in parts.items():
        values, weights = (part[column].to_numpy(float) for column in (name, "weight"))
        interval = accuracy_interval(values[:, None], part["file"].to_numpy(str), weights)[0]
        scores.loc[ALL, [f"{name}_low", f"{name}_high"]] = interval

    by_recording = items.groupby("file")["iou"].mean().sort_values(kind="stable")
    file = str(by_recording.index[len(by_recording) // 2])  # the median F1
    begin = float(max(0.0, events["start"][events["file"] == file].min() - 1))
    sides = {"events": events, "detections": detections}
    shown = {
        side: table[(table["file"] == file) & (table["end"] > begin) & (table["start"] < begin + EXCERPT)]
        for side, table in sides.items()
    }
    writer.submit("time_line", begin=begin, end=begin + EXCERPT, **shown)
    with suppress(OSError, soundfile.LibsndfileError):
        return scores, Path(file).name, base64.b64encode(compressed(Path(file), begin, EXCERPT)).decode()
    return scores, Path(file).name, ""
