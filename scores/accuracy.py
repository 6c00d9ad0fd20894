"""The score that ranks runs of one label a clip.

Conventions as in `scores.ranking_metric`.
"""

from collections.abc import Sequence
from math import lcm

import numpy as np
import pandas as pd

from featurestack.scores.bootstrap import accuracy_interval, recording_sums
from featurestack.scores.metrics import Floats, Ints, Labels, Probabilities, Score
from featurestack.scores.ranking_metric import (
    DECIDED_COLUMNS,
    OF_CLIPS,
    ClipMetric,
    Compared,
    TestedRun,
    decided,
)


class Accuracy(ClipMetric):
    """The share of clips that are predicted right; every clip counts alike."""

    def score(
        self,
        labels: Labels,
        probabilities: Probabilities,
        folds: Ints,
    ) -> float:
        clips = np.arange(len(labels))
        correct = labels[clips, probabilities.argmax(axis=1)]
        return float(correct.mean())

    def clip_scores(
        self,
        labels: Labels,
        probabilities: Probabilities,
        clips: pd.DataFrame,
    ) -> Floats:
        """The true class's probability, and 1 if it is the highest, shared by ties."""
        every = np.arange(len(labels))
        of_target = probabilities[every, labels.argmax(axis=1)]
        highest = probabilities == probabilities.max(axis=1, keepdims=True)
        correct = (labels & highest).sum(axis=1) / highest.sum(axis=1)
        return np.stack([of_target, correct]).astype(float)

    def configuration_score(
        self,
        tables: Sequence[pd.DataFrame],
        classes: Sequence[str],
    ) -> Score:
        clips = pd.concat(tables, ignore_index=True)
        correct = clips[classes].idxmax(axis=1) == clips["target"]
        over_seeds = correct.groupby([clips["fold"], clips["group"], clips["clip_id"]])
        each = over_seeds.mean()
        by_fold = each.groupby("fold").mean()
        groups = each.index.get_level_values("group").to_numpy(dtype=str)
        correct_clips = each.to_numpy()[:, None]
        ((low, high),) = accuracy_interval(correct_clips, groups, np.ones(len(each)))
        return Score(float(each.mean()), low, high, by_fold)

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """Sums by recording are whole numbers, so that ties are exact."""
        first = runs[0]
        correct = np.stack([run.correct for run in runs], axis=1)  # (N, R)
        seeds = lcm(*(len(run.probabilities) for run in runs))
        every = np.ones(len(correct))
        return Compared(
            accuracy=correct.mean(axis=0),
            interval=accuracy_interval(correct, first.groups, every),
            by_recording=recording_sums(np.rint(correct * seeds), first.groups),
            worth=seeds * every,
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """The accuracy of the best constant answer, the same in every recording: of
        recordings with one class each, its own hits would differ more than any run's.
        """
        accuracy = (worth @ run.labels).max() / worth.sum()
        by_recording = recording_sums(worth[:, None], run.groups)[:, 0]
        return accuracy * by_recording

    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """With intervals of recall, by recording; NaN for a class without a clip."""
        tested: Labels = np.any(run.labels, axis=0)
        of_class = run.labels[:, tested].astype(float)
        correct = np.repeat(run.correct[:, None], of_class.shape[1], axis=1)
        intervals = np.full((len(tested), 2), np.nan)
        intervals[tested] = accuracy_interval(correct, run.groups, of_class)
        return decided(run).assign(
            recall_low=intervals[:, 0], recall_high=intervals[:, 1]
        )


ACCURACY = Accuracy(
    title="accuracy",
    heading="Accuracy",
    class_score="recall",
    class_heading="Recall",
    errors="confusion",
    pooled=False,
    further_columns=(),
    class_columns=(("class", "Class", "text"), *DECIDED_COLUMNS),
    **OF_CLIPS,
)
