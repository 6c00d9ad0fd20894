"""The report's section about recordings: scores of the detections in the tested folds,
and a time line.
"""

import base64
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.analysis.clips import compressed
from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.runs import Run
from featurestack.features_cache import Cache
from featurestack.features_cache.table import label_indicator
from featurestack.results.bootstrap import accuracy_interval
from featurestack.results.detections import ALL, compare, detection_scores
from featurestack.results.scores import Floats
from featurestack.results.tags import fold_ranks
from featurestack.results.tested_windows import PLACES, FoldWindows, read_tested
from featurestack.results.windows import BACKGROUND, Annotated, block_groups

EXCERPT = 20.0  # longest time line, seconds


@dataclass(frozen=True)
class DetectionSection:
    """Scores, recording and audio that the section shows beside its time line."""

    scores: pd.DataFrame  # the table of `detection_scores`, with intervals for ALL
    recording: str  # name of the recording of the time line
    audio: str  # MP3 as base64, '' if the recording cannot be read
    block: float | None  # see `Annotated`
    hop: float  # seconds from window to window
    everywhere: bool  # every part of the recordings is scored, not the dataset's alone
    count: int  # recordings that are scored


def submit_detections(
    writer: FigureWriter,
    run: Run,
    cache: Cache,
    annotated: Annotated,
) -> DetectionSection:
    """Submit a time line of one recording, and score the detections of a run.

    A class's joining rule in a fold is the best on the windows of the other folds.
    Only the row of all classes has intervals, from a bootstrap over recordings.
    """
    names = list(run.classes)
    everywhere = every_part(run)
    if everywhere is None:
        clips = cache.clips.set_index("clip_id").loc[run.clip_ids]
        mean = pd.DataFrame(run.probabilities.mean(axis=0), columns=names)
        tested = FoldWindows.of_clips(clips, run.folds, mean, annotated)
    else:
        tested = FoldWindows.everywhere(everywhere, annotated, cache)
    windows, events = tested.windows, tested.events
    chosen, detections = tested.cross_fitted()
    target = label_indicator(windows["label"], names)
    # a window with less than half of an event has no label, and no score
    predicted = chosen.to_numpy() & (windows["label"] != "").to_numpy()[:, None]
    folds = windows["fold"].to_numpy()
    ranks = fold_ranks(tested.probabilities.to_numpy(), folds)
    scores = detection_scores(
        windows,
        chosen,
        pd.DataFrame(ranks, columns=names),
        tested.hop,
        events,
        detections,
    )
    items = compare(events, detections)
    sounding = np.array(names) != BACKGROUND
    intervals = recording_intervals(
        windows.assign(file=block_groups(windows, annotated.block)),
        target[:, sounding],
        predicted[:, sounding],
        items.assign(file=block_groups(items, annotated.block)),
    )
    for name, interval in intervals.items():
        scores.loc[ALL, [f"{name}_low", f"{name}_high"]] = interval

    f1 = items.groupby("file")["iou"].mean().sort_values(kind="stable")
    file = str(f1.index[len(f1) // 2])  # the recording with the median F1
    first_event = events["start"][events["file"] == file].min()
    last_window = windows["end"][windows["file"] == file].max()
    begin = max(0.0, float(first_event) - 1)
    end = min(begin + EXCERPT, float(last_window))
    writer.submit(
        "time_line",
        begin=begin,
        end=end,
        events=within(events, file, begin, end),
        detections=within(detections, file, begin, end),
    )
    audio = ""
    with suppress(OSError, soundfile.LibsndfileError):
        audio = base64.b64encode(compressed(Path(file), begin, EXCERPT)).decode()
    return DetectionSection(
        scores=scores,
        recording=Path(file).name,
        audio=audio,
        block=annotated.block,
        hop=tested.hop,
        everywhere=everywhere is not None,
        count=windows["file"].nunique(),
    )


def every_part(run: Run) -> pd.DataFrame | None:
    """Every window of the tested recordings, with the mean of the seeds' probabilities
    (`results.tested_windows`); None unless each seed predicted the same windows.
    """
    tables = [read_tested(folder) for folder in run.folders]
    seeds = [table for table in tables if table is not None]
    if len(seeds) < len(tables):
        return None
    places = seeds[0][PLACES]
    if not all(places.equals(table[PLACES]) for table in seeds):
        return None
    names = list(run.classes)
    of_seeds = [table[names].to_numpy(float) for table in seeds]
    mean = np.mean(of_seeds, axis=0)
    return places.join(pd.DataFrame(mean, columns=names))


def recording_intervals(
    windows: pd.DataFrame,
    target: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    items: pd.DataFrame,
) -> dict[str, Floats]:
    """Score -> both ends of its interval over recordings, for all classes together.

    target, predicted  (W, K) without BACKGROUND
    items              the table of `compare`
    """
    # F1 is the mean of 2 hits / (true + predicted), weighted by the denominator.
    hits = (target & predicted).sum(axis=1)
    either = target.sum(axis=1) + predicted.sum(axis=1)
    window_f1 = 2 * hits / np.maximum(either, 1)
    annotated = items[~items["detected"]]
    measures = [
        ("window_f1", windows["file"], window_f1, either),
        ("event_recall", annotated["file"], annotated["shared"], None),
        ("f1_iou", items["file"], items["iou"], None),
        ("f1_collar", items["file"], items["collar"], None),
    ]
    intervals = {}
    for name, files, values, weights in measures:
        column = np.asarray(values, float)[:, None]
        counts = np.ones(len(column)) if weights is None else weights
        recordings = files.to_numpy(str)
        intervals[name] = accuracy_interval(column, recordings, counts)[0]
    return intervals


def within(table: pd.DataFrame, file: str, begin: float, end: float) -> pd.DataFrame:
    """The rows of one recording that overlap a span of seconds."""
    of_file = table["file"] == file
    return table[of_file & (table["end"] > begin) & (table["start"] < end)]
