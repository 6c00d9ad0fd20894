"""The score that ranks runs of one label a clip.

Conventions as in `results.ranking_metric`.
"""

from collections.abc import Sequence
from math import lcm
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from featurestack.results.bootstrap import (
    accuracy_interval,
    fold_weights,
    recording_sums,
)
from featurestack.results.ranking_metric import (
    Compared,
    Labels,
    Probabilities,
    RankingMetric,
    TestedRun,
)
from featurestack.results.scores import Floats, Ints

if TYPE_CHECKING:
    from featurestack.results.score import Score


class Accuracy(RankingMetric):
    """The share of clips whose most probable class is the true one, a mean over the
    folds.
    """

    title = "accuracy"
    heading = "Accuracy"
    class_score = "recall"
    class_heading = "Recall"
    pooled = False

    def pooled_score(
        self,
        labels: Labels,
        probabilities: Probabilities,
        folds: Ints,
    ) -> float:
        clips = np.arange(len(labels))
        correct = labels[clips, probabilities.argmax(axis=1)]
        return float(correct.mean())

    def ranking_score(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> float:
        """The mean over folds."""
        correct = probabilities.argmax(axis=2) == labels.argmax(axis=1)
        return float(fold_weights(folds) @ correct.mean(axis=0))

    def clip_scores(
        self,
        labels: Labels,
        probabilities: Probabilities,
        clips: pd.DataFrame,
    ) -> Floats:
        """The probability of the true class, and whether it is the most probable."""
        every = np.arange(len(labels))
        of_target = probabilities[every, labels.argmax(axis=1)]
        correct = labels[every, probabilities.argmax(axis=1)]
        return np.stack([of_target, correct]).astype(float)

    def configuration_score(
        self,
        tables: Sequence[pd.DataFrame],
        classes: Sequence[str],
    ) -> "Score":
        from featurestack.results.score import Score

        clips = pd.concat(tables, ignore_index=True)
        correct = clips[classes].idxmax(axis=1) == clips["target"]
        over_seeds = correct.groupby([clips["fold"], clips["group"], clips["clip_id"]])
        each = over_seeds.mean()
        by_fold = each.groupby("fold").mean()
        groups = each.index.get_level_values("group").to_numpy(dtype=str)
        folds = each.index.get_level_values("fold").to_numpy()
        intervals = accuracy_interval(
            each.to_numpy()[:, None],
            groups,
            fold_weights(folds),
        )
        ((low, high),) = intervals
        return Score(by_fold.mean(), low, high, by_fold)

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """Accuracies are means over folds. If all folds are equally large, sums by
        recording are whole numbers, so that ties are exact.
        """
        first = runs[0]
        _, fold, sizes = np.unique(first.folds, return_inverse=True, return_counts=True)
        correct = np.stack([run.correct for run in runs], axis=1)  # (N, R)
        by_fold = [np.bincount(fold, weights=of_run) / sizes for of_run in correct.T]
        weights = sizes.max() / sizes[fold]
        seeds = lcm(*(len(run.probabilities) for run in runs))
        weighted = np.rint(correct * seeds) * weights[:, None]
        return Compared(
            accuracy=np.mean(by_fold, axis=1),
            by_fold=np.stack(by_fold),
            interval=accuracy_interval(correct, first.groups, weights),
            by_recording=recording_sums(weighted, first.groups),
            worth=weights * seeds,
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """The accuracy of always predicting the commonest class, the same in every
        recording: where recordings hold one class each, that prediction's own hits
        would differ between them more than any run does.
        """
        clips_of_class = run.labels.sum(axis=0)
        commonest = run.labels[:, clips_of_class.argmax()]
        accuracy = commonest @ worth / worth.sum()
        by_recording = recording_sums(worth[:, None], run.groups)[:, 0]
        return accuracy * by_recording

    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        return {}

    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Intervals of recall, by bootstrap over recordings; NaN for a class without a
        clip.
        """
        tested: Labels = np.any(run.labels, axis=0)
        of_class = run.labels[:, tested].astype(float)
        correct = np.repeat(run.correct[:, None], of_class.shape[1], axis=1)
        intervals = np.full((len(tested), 2), np.nan)
        intervals[tested] = accuracy_interval(correct, run.groups, of_class)
        return pd.DataFrame(intervals, columns=["recall_low", "recall_high"])


ACCURACY = Accuracy()
