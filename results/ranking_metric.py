"""The score that ranks runs: a mean over folds (ACCURACY), or one score of all folds
together (`results.mean_average_precision`).

A metric says how runs compare by it: their scores by recording, what a prediction that
knows nothing gets, whether runs can be swapped. No task appears here; each task names
its metric.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds; `labels`
(N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of several
seeds, (S, N, K).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.quantities import percent
from featurestack.results.bootstrap import (
    accuracy_interval,
    fold_weights,
    recording_sums,
)
from featurestack.results.scores import Floats, Ints, decision_scores

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]


def by_unit(unit: str) -> str:
    """The unit that the bootstrap of an interval draws, in words.

    >>> by_unit("recording")
    'by recording'
    >>> by_unit("block")
    'by block, for these recordings alone'
    """
    return f"by {unit}" + (", for these recordings alone" if unit == "block" else "")


@dataclass(frozen=True)
class Score:
    """The score of a configuration, a mean over its seeds, its 95 % interval by
    recording (NaN for a single recording), and the folds' own means over seeds.
    """

    mean: float
    low: float
    high: float
    by_fold: "pd.Series[float]"
    unit: str = ""  # `block` if the interval is by block of few recordings

    def __str__(self) -> str:
        """
        >>> str(Score(0.835, 0.791, 0.87, pd.Series([0.83, 0.84])))
        '83.5 % (95 % CI 79.1 to 87.0)'
        """
        text = f"{percent(self.mean)} %"
        if not self.interval:
            return text
        by = f", {by_unit(self.unit)}" if self.unit == "block" else ""
        return f"{text} (95 % CI {self.interval}{by})"

    @property
    def interval(self) -> str:
        """`79.1 to 87.0`; '' if there is none."""
        if np.isnan(self.low):
            return ""
        return f"{percent(self.low)} to {percent(self.high)}"


class TestedRun(Protocol):
    """The predictions of a configuration's seeds for its test clips, see
    `analysis.runs.Run`.
    """

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def labels(self) -> Labels: ...

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
    def decisions(self) -> NDArray[np.bool_]: ...

    @property
    def answers(self) -> Sequence[Any]: ...


@dataclass(frozen=True, eq=False)
class Compared:
    """The scores of R comparable runs."""

    accuracy: Floats  # (R,) the score that ranks them
    by_fold: Floats  # (R, F)
    interval: Floats  # (R, 2) 95 %; NaN for a single recording
    # (G, R) sums by recording
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums


class RankingMetric(ABC):
    """A score that ranks runs."""

    title: str  # in sentences
    heading: str  # heading of tables and figures
    column: str  # in tables and, after test_, in history.csv
    class_score: str  # a class's score by which classes are compared
    class_heading: str
    # the score of all folds together, which is not the mean of the folds' own scores
    pooled: bool
    counted = "Clips"  # heading of what the support of a class counts
    # sentence of a report -> its function of `Findings`, of a metric of a room
    sentences: ClassVar[Mapping[str, Callable[[Any], str]]] = {}

    @abstractmethod
    def pooled_score(
        self,
        labels: Labels,
        probabilities: Probabilities,
        folds: Ints,
    ) -> float:
        """The score of the test clips of all folds together."""

    @abstractmethod
    def ranking_score(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> float:
        """The score that ranks runs, of probabilities (S, N, K): a mean over seeds."""

    @abstractmethod
    def clip_scores(
        self,
        labels: Labels,
        probabilities: Probabilities,
        clips: pd.DataFrame,
    ) -> Floats:
        """(2, N) scores of each clip: its probability, and its part of the score.

        clips  with columns fold and group
        """

    @abstractmethod
    def configuration_score(
        self,
        tables: Sequence[pd.DataFrame],
        classes: Sequence[str],
    ) -> Score:
        """The score of the seeds of one configuration.

        tables  each seed's rows of predictions.csv with `fold` and a recording in
                `group`
        """

    def of_folders(self, folders: Sequence[Any]) -> Score:
        """The score of the seeds of one configuration, each a `RunFolder`, on their
        test clips, or on their validation clips if they skip the test folds.
        """
        tables = []
        for folder in folders:
            table = folder.scored(split=folder.scored_split)
            recordings = table["group"].where(table["group"] != "", table["clip_id"])
            tables.append(table.assign(group=recordings))
        return self.configuration_score(tables, folders[0].classes)

    @abstractmethod
    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """The scores of comparable runs."""

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

    def seed_scores(self, run: TestedRun) -> Floats:
        """(S,) the score of each seed over all clips."""
        of_seeds = [
            self.pooled_score(run.labels, of_seed, run.folds)
            for of_seed in run.probabilities
        ]
        return np.array(of_seeds)

    def decision_scores(self, run: TestedRun) -> dict[str, Floats]:
        """Precision, recall, F1 and support (K,), means over the seeds."""
        seeds = [decision_scores(run.labels, chosen) for chosen in run.decisions]
        return {
            name: np.mean([scores[name] for scores in seeds], axis=0)
            for name in seeds[0]
        }

    @abstractmethod
    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        """(K,) columns of the report of classes, beside those of the decisions."""

    @abstractmethod
    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Columns with the 95 % interval of `class_score`, a row for each class and
        perhaps one for their mean.
        """

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        """Whether runs are compared by swapping whole recordings in every pattern."""
        return False

    def swapped(
        self,
        first: TestedRun,
        second: TestedRun,
        shares: Floats,
    ) -> tuple[Floats, Floats]:
        """(2^G,) differences of two runs under every pattern of swaps, and (G,) the
        parts of the first, by recording; only if `swapped_whole`.

        shares  (G,) the weight of each recording
        """
        raise NotImplementedError

    def ranks(self, run: TestedRun) -> Floats:
        """`run.ranks`, for a metric that ranks clips."""
        raise NotImplementedError

    def precision(self, run: TestedRun) -> Floats:
        """`run.precision`, for a metric that ranks clips."""
        raise NotImplementedError

    def perfect(self, run: TestedRun) -> float:
        """The score of a perfect order of the clips."""
        return 1.0


class Accuracy(RankingMetric):
    """The share of clips whose most probable class is the true one, a mean over the
    folds.
    """

    title = "accuracy"
    heading = "Accuracy"
    column = "accuracy"
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
    ) -> Score:
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
