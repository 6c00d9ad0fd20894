"""EVENT_F1: the metric by which runs of events are ranked. No torch.

F1 at IoU 0.5 of all classes and recordings together, by rules of the other folds. It is
no mean over recordings: runs are compared by jackknife values, as for mAP.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from featurestack.results.mean_average_precision import MeanAveragePrecision
from featurestack.results.ranking_metric import Compared, TestedRun
from featurestack.results.scores import Floats, Ints, Score
from featurestack.results.tags import attributed
from featurestack.rooms.events.scores import ALL, f1_interval, f1_of
from featurestack.rooms.events.sentences import SENTENCES
from featurestack.rooms.events.tested import SCORE_COLUMNS, ScoredFrames, read_tested


class EventF1(MeanAveragePrecision):
    """F1 of events at IoU 0.5. The methods of mAP that are not replaced score pieces of
    recordings; no ranking uses their scores.
    """

    title = "event F1"
    heading = "Event F1 at IoU 0.5"
    class_score = "f1"
    class_heading = "F1 at IoU 0.5"
    counted = "Events"
    sentences: ClassVar[Mapping[str, Callable[[Any], str]]] = SENTENCES

    def of_folders(self, folders: Sequence[Any]) -> Score:
        tested = [read_tested(folder) for folder in folders]
        groups = sorted({*tested[0].frames.stretches["group"]})
        counts = np.stack([seed.by_group(groups) for seed in tested])
        by_fold = pd.concat([seed.by_fold["event_f1"] for seed in tested])
        return Score(
            float(f1_of(counts.sum(axis=2)).mean()),
            *f1_interval(counts),
            by_fold.groupby("fold").mean(),
            tested[0].unit,
        )

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """Sums by recording are jackknife values of F1."""
        groups, pieces = np.unique(runs[0].groups, return_counts=True)
        by_fold, intervals, values = [], [], []
        for run in runs:
            seeds: Sequence[ScoredFrames] = run.answers
            counts = np.stack([seed.by_group(groups.tolist()) for seed in seeds])
            of_seeds = [jackknife_values(of_seed, pieces) for of_seed in counts]
            folds = [seed.by_fold["event_f1"].to_numpy() for seed in seeds]
            values.append(np.mean(of_seeds, axis=0))
            by_fold.append(np.mean(folds, axis=0))
            intervals.append(f1_interval(counts))
        by_recording = np.stack(values, axis=1)
        clips = len(runs[0].groups)
        return Compared(
            accuracy=by_recording.sum(axis=0),
            by_fold=np.stack(by_fold),
            interval=np.array(intervals),
            by_recording=by_recording,
            worth=np.full(clips, 1 / clips),
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """A run without a detection has F1 0."""
        return np.zeros(len(np.unique(run.groups)))

    def seed_scores(self, run: TestedRun) -> Floats:
        counts = [seed.tallies[ALL].counts.sum(axis=1) for seed in run.answers]
        return f1_of(np.stack(counts))

    def decision_scores(self, run: TestedRun) -> dict[str, Floats]:
        """Scores of events, not of pieces; support is the number of events."""
        table = class_table(run).fillna({"precision": 0.0, "recall": 0.0, "f1": 0.0})
        scores = table[["precision", "recall", "f1", "events"]]
        scores = scores.rename(columns={"events": "support"})
        return {str(name): column.to_numpy(float) for name, column in scores.items()}

    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        table = class_table(run)
        return {name: table[name].to_numpy(float) for name in SCORE_COLUMNS}

    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Intervals of F1, by bootstrap over recordings."""
        rows = []
        for name in run.classes:
            counts = np.stack([seed.tallies[name].counts for seed in run.answers])
            rows.append(f1_interval(counts))
        return pd.DataFrame(rows, columns=["low", "high"])

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        return False

    def perfect(self, run: TestedRun) -> float:
        return 1.0


def class_table(run: TestedRun) -> pd.DataFrame:
    """`event_scores` of the classes, means over the seeds."""
    seeds: Sequence[ScoredFrames] = run.answers
    tables = pd.concat([seed.scores() for seed in seeds])
    return tables.groupby("label").mean().loc[[*run.classes]]


def jackknife_values(counts: Floats, sizes: Ints) -> Floats:
    """Values (G,) of the recordings that sum to F1, as those of mAP do.

    counts  (3, G) partners, events, detections
    sizes   (G,) pieces
    """
    every = counts.sum(axis=1, keepdims=True)
    without = np.nan_to_num(f1_of((every - counts).T))
    whole = np.nan_to_num(f1_of(every.T))  # no event was tested
    return attributed(whole, without[:, None], sizes)


EVENT_F1 = EventF1()
