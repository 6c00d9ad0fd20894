"""EVENT_F1: the metric by which runs of events are ranked. No torch.

F1 at IoU 0.5 of all classes and recordings together, by rules of the other folds. It is
no mean over recordings: runs are compared by jackknife values, as for mAP.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from featurestack.commandline.quantities import counted, percent, plural
from featurestack.results.mean_average_precision import MeanAveragePrecision
from featurestack.results.ranking_metric import Compared, TestedRun
from featurestack.results.scores import Floats, Ints, Score
from featurestack.results.tags import attributed
from featurestack.rooms.events.scores import ALL, f1_interval, f1_of
from featurestack.rooms.events.tested import SCORE_COLUMNS, mean_scores, read_tested

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings

# ---- sentences of a report

SAME_PLACE = (
    "Groups are blocks of recordings: scores and intervals are for these recordings"
    " alone, and optimistic for another day or place."
)


def chance(f: "Findings") -> str:
    return "A model that finds nothing has an event F1 of 0 %"


def classes(f: "Findings") -> str:
    """The classes with the lowest F1."""
    texts = [f"{row['class']} ({percent(row['f1'])} %)" for row in f.hardest[:3]]
    return f"Lowest F1: {', '.join(texts)}." if texts else ""


def method(f: "Findings") -> str:
    recordings = counted(f.recordings, f.unit)
    return (
        "Event F1 is that of all classes and folds together, by rules that were chosen"
        " on the other folds. A detection is right if it and an event of its label"
        " share half of the time that one of them lasts (IoU 0.5); points are right"
        " within 50 ms. SD is that of the folds' own F1. The 95 % interval is Wilson’s"
        f" with the standard error of a bootstrap over {recordings}; it does not"
        " include the variation between trainings, nor that of the choice of rules, and"
        " so is too narrow if there are few events. Runs are compared by jackknife"
        f" values of F1 by {f.unit}. One {f.group} is never both trained on and tested."
    )


def statistics(f: "Findings") -> str:
    return (
        "Statistics: F1 of events at IoU 0.5, all classes and folds together, by rules"
        f" of the other folds; the 95 % CI is from a bootstrap over {plural(f.unit)},"
        " which holds the variation between recordings and not that of training again;"
        f" tests use jackknife values of F1 by {f.unit}."
    )


SENTENCES: dict[str, Callable[["Findings"], str]] = {
    function.__name__: function for function in (chance, classes, method, statistics)
}


# ---- the metric


class EventF1(MeanAveragePrecision):
    """F1 of events at IoU 0.5; no ranking uses what is left of mAP."""

    title = "event F1"
    heading = "Event F1 at IoU 0.5"
    class_score = "f1"
    class_heading = "F1 at IoU 0.5"
    counted = "Events"
    score_columns = (
        ("f1_iou_0.3", "F1 at IoU 0.3", "decimals", False),
        ("f1_iou_0.7", "F1 at IoU 0.7", "decimals", False),
        ("false_alarms", "False alarms an hour", "number", True),
        ("onset_ms", "Onset error, ms, mean of folds", "number", True),
    )
    further_columns = SCORE_COLUMNS
    class_columns = (
        ("class", "Class", "text"),
        ("support", "Events", "number"),
        ("f1", "F1 at IoU 0.5", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("f1_iou_0.3", "at IoU 0.3", "decimals"),
        ("f1_iou_0.7", "at IoU 0.7", "decimals"),
        ("found", "Found", "decimals"),
        ("false_alarms", "False alarms an hour", "number"),
        ("wrong_names", "Wrong name, an hour", "number"),
        ("onset_ms", "Onset error, ms", "number"),
    )
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
        intervals, values = [], []
        for run in runs:
            seeds = run.answers
            counts = np.stack([seed.by_group(groups.tolist()) for seed in seeds])
            of_seeds = [jackknife_values(of_seed, pieces) for of_seed in counts]
            values.append(np.mean(of_seeds, axis=0))
            intervals.append(f1_interval(counts))
        by_recording = np.stack(values, axis=1)
        clips = len(runs[0].groups)
        return Compared(
            accuracy=by_recording.sum(axis=0),
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
        table = mean_scores(run.answers).fillna({"precision": 0, "recall": 0, "f1": 0})
        table = table.rename(columns={"events": "support"}).loc[[*run.classes]]
        names = "precision", "recall", "f1", "support"
        return {name: table[name].to_numpy(float) for name in names}

    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        table = mean_scores(run.answers).loc[[*run.classes]]
        return {name: table[name].to_numpy(float) for name in SCORE_COLUMNS}

    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Intervals of F1, by bootstrap over recordings."""
        table = mean_scores(run.answers).loc[[*run.classes], ["low", "high"]]
        return table.reset_index(drop=True)

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        return False

    def perfect(self, run: TestedRun) -> float:
        return 1.0


def jackknife_values(counts: Floats, sizes: Ints) -> Floats:
    """Values (G,) of the recordings that sum to F1, as those of mAP do; counts (3, G)
    of partners, events, detections, sizes (G,) in pieces.
    """
    every = counts.sum(axis=1, keepdims=True)
    without = np.nan_to_num(f1_of((every - counts).T))
    whole = np.nan_to_num(f1_of(every.T))  # no event was tested
    return attributed(whole, without[:, None], sizes)


EVENT_F1 = EventF1()
