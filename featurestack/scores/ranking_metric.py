"""The score that ranks runs: ACCURACY, the share of right clips, or mAP
(`scores.tasks.tags`).

A metric says how runs compare by it: their scores by recording, what a prediction that
knows nothing gets. Those of clips (`ClipMetric`) are functions of answers and targets.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds; `labels`
(N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of several
seeds, (S, N, K).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.scores.bootstrap import accuracy_interval, recording_sums
from featurestack.scores.metrics import (
    Floats,
    Ints,
    Labels,
    Probabilities,
    Score,
    decision_scores,
)


class TestedRun(Protocol):
    """The predictions of a configuration's seeds, see `analysis.runs.Run`."""

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def labels(self) -> Labels: ...

    @property
    def clip_ids(self) -> NDArray[np.str_]: ...

    @property
    def groups(self) -> NDArray[np.str_]: ...

    @property
    def folds(self) -> Ints: ...

    @property
    def probabilities(self) -> Floats: ...

    @property
    def ranks(self) -> Floats: ...

    @property
    def precision(self) -> Floats: ...

    @property
    def correct(self) -> Floats: ...

    @property
    def decisions(self) -> Labels: ...

    @property
    def answers(self) -> Sequence[Any]: ...

    @property
    def spread(self) -> float: ...  # `RunFolder.spread`


@dataclass(frozen=True, eq=False)
class Compared:
    """The scores of R comparable runs."""

    accuracy: Floats  # (R,) the score by which they are ranked; mAP for tags
    interval: Floats  # (R, 2) 95 % interval of the accuracy; NaN for a single recording
    # (G, R) sums by recording, whole if folds are equally large; tags: jackknife values
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums


@dataclass(frozen=True, kw_only=True, eq=False)
class RankingMetric(ABC):
    """A score that ranks runs, from 0 to 1, and how a report names it."""

    title: str  # in sentences
    heading: str  # heading of tables and figures
    class_score: str  # a class's score by which classes are compared
    class_heading: str
    counted: str  # heading of what the support of a class counts
    # kind of errors in a report: confusion | labels; '' leaves them to a room's section
    errors: str
    # the score of all folds together, which is not the mean of the folds' own scores
    pooled: bool
    # further scores of a run: column, heading, kind of cell, whether less is better
    score_columns: Sequence[tuple[str, str, str, bool]]
    further_columns: Sequence[str]  # comparison.csv alone has them
    # columns of the table of classes: column, heading, kind of cell
    class_columns: Sequence[tuple[str, str, str]]
    # sentence of a report -> its function of `Findings`, of a metric of a room
    sentences: Mapping[str, Callable[[Any], str]]

    @abstractmethod
    def of_folders(self, folders: Sequence[Any]) -> Score:
        """The score of a configuration's seeds, each a `RunFolder`."""

    @abstractmethod
    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """The scores of comparable runs."""

    def units(self, run: TestedRun) -> NDArray[np.generic]:
        """(N,) what tests flip the signs of: the clips' recordings."""
        return run.groups

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

    def perfect(self, run: TestedRun) -> float:
        """The score of a perfect order of the clips."""
        return 1.0

    @abstractmethod
    def seed_scores(self, run: TestedRun) -> Floats:
        """(S,) the score of each seed over all clips."""

    @abstractmethod
    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """Scores of each class (rows), among them precision, recall, f1 and support,
        means over the seeds, with 95 % intervals (INTERVALS). A row more has those of
        the mean.
        """


INTERVALS = ("low", "high", "recall_low", "recall_high")
DECIDED_COLUMNS = (
    ("precision", "Precision", "decimals"),
    ("recall", "Recall", "decimals"),
    ("recall_low", "From", "decimals"),
    ("recall_high", "To", "decimals"),
    ("f1", "F1", "decimals"),
    ("support", "Clips", "number"),
)
OF_CLIPS: Mapping[str, Any] = {  # fields of both metrics of clips
    "counted": "Clips",
    "score_columns": (
        ("macro_f1", "Macro F1", "decimals", False),
        ("log_loss", "Log loss", "decimals", True),
    ),
    "sentences": {},
}


class ClipMetric(RankingMetric):
    """A score of answers to clips: a function of their labels and probabilities."""

    @abstractmethod
    def score(self, labels: Labels, probabilities: Probabilities, folds: Ints) -> float:
        """The score of the test clips of all folds together."""

    @abstractmethod
    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """(2, N) scores of each clip: its probability, and its part of the score.

        clips  with columns fold and group
        """

    @abstractmethod
    def configuration_score(
        self, tables: Sequence[pd.DataFrame], classes: Sequence[str], spread: float
    ) -> Score:
        """The score of a configuration, from each seed's rows of predictions.csv with
        `fold` and a recording in `group`; `spread` as in `accuracy_interval`.
        """

    def of_folders(self, folders: Sequence[Any]) -> Score:
        tables = []
        for folder in folders:
            table = folder.scored()
            recordings = table["group"].where(table["group"] != "", table["clip_id"])
            tables.append(table.assign(group=recordings))
        first = folders[0]
        return self.configuration_score(tables, first.classes, first.spread)

    def seed_scores(self, run: TestedRun) -> Floats:
        return np.array(
            [self.score(run.labels, own, run.folds) for own in run.probabilities]
        )


def decided(run: TestedRun) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, means over the seeds."""
    seeds = [decision_scores(run.labels, chosen) for chosen in run.decisions]
    return pd.DataFrame(
        {name: np.mean([scores[name] for scores in seeds], axis=0) for name in seeds[0]}
    )


# ---- one label a clip


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
        spread: float,
    ) -> Score:
        clips = pd.concat(tables, ignore_index=True)
        correct = clips[classes].idxmax(axis=1) == clips["target"]
        over_seeds = correct.groupby([clips["fold"], clips["group"], clips["clip_id"]])
        each = over_seeds.mean()
        by_fold = each.groupby("fold").mean()
        groups = each.index.get_level_values("group").to_numpy(dtype=str)
        correct_clips = each.to_numpy()[:, None]
        ((low, high),) = accuracy_interval(
            correct_clips, groups, np.ones(len(each)), spread
        )
        return Score(float(each.mean()), low, high, by_fold)

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """Sums by recording are whole numbers, so that ties are exact."""
        first = runs[0]
        correct = np.stack([run.correct for run in runs], axis=1)  # (N, R)
        seeds = lcm(*(len(run.probabilities) for run in runs))
        every = np.ones(len(correct))
        spread = np.array([run.spread for run in runs])
        return Compared(
            accuracy=correct.mean(axis=0),
            interval=accuracy_interval(correct, first.groups, every, spread),
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
