"""The score that ranks runs: a mean over folds (ACCURACY), or one score of all folds
together (`scores.mean_average_precision`).

A metric says how runs compare by it: their scores by recording, what a prediction that
knows nothing gets, whether runs can be swapped. No task appears here; each task names
its metric.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds; `labels`
(N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of several
seeds, (S, N, K).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.scores.bootstrap import CHOICE_WIDTH, widened
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


@dataclass(frozen=True, eq=False)
class Compared:
    """The scores of R comparable runs."""

    accuracy: Floats  # (R,) the score by which they are ranked; mAP for tags
    interval: Floats  # (R, 2) 95 % interval of the accuracy; NaN for a single recording
    # (G, R) sums by recording, whole if folds are equally large; tags: jackknife values
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums


class RankingMetric(ABC):
    """A score that ranks runs."""

    title: str  # in sentences
    heading: str  # heading of tables and figures
    class_score: str  # a class's score by which classes are compared
    class_heading: str
    # kind of errors in a report: confusion | labels; '' leaves them to a section of a
    # room
    errors: str = ""
    # the score of all folds together, which is not the mean of the folds' own scores
    pooled: bool
    counted = "Clips"  # heading of what the support of a class counts
    # further scores of a run: column, heading, kind of cell, whether less is better
    score_columns: ClassVar[Sequence[tuple[str, str, str, bool]]] = (
        ("macro_f1", "Macro F1", "decimals", False),
        ("log_loss", "Log loss", "decimals", True),
    )
    further_columns: ClassVar[Sequence[str]] = ()  # comparison.csv alone has them
    # columns of the table of classes: column, heading, kind of cell
    class_columns: ClassVar[Sequence[tuple[str, str, str]]] = (
        ("class", "Class", "text"),
        ("average_precision", "Average precision", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("prevalence", "Prevalence", "decimals"),
        ("auroc", "AUROC", "decimals"),
        ("precision", "Precision", "decimals"),
        ("recall", "Recall", "decimals"),
        ("recall_low", "From", "decimals"),
        ("recall_high", "To", "decimals"),
        ("f1", "F1", "decimals"),
        ("support", "Clips", "number"),
    )
    # sentence of a report -> its function of `Findings`, of a metric of a room
    sentences: ClassVar[Mapping[str, Callable[[Any], str]]] = {}

    @abstractmethod
    def pooled_score(
        self, labels: Labels, probabilities: Probabilities, folds: Ints
    ) -> float:
        """The score of the test clips of all folds together."""

    def ranking_score(self, labels: Labels, seeds: Floats, folds: Ints) -> float:
        """The score that ranks runs, of probabilities (S, N, K): a mean over seeds."""
        return float(np.mean([self.pooled_score(labels, own, folds) for own in seeds]))

    def seed_scores(self, run: TestedRun) -> Floats:
        """(S,) the score of each seed over all clips."""
        return np.array(
            [self.pooled_score(run.labels, own, run.folds) for own in run.probabilities]
        )

    @abstractmethod
    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """(2, N) scores of each clip: its probability, and its part of the score.

        clips  with columns fold and group
        """

    @abstractmethod
    def configuration_score(
        self, tables: Sequence[pd.DataFrame], classes: Sequence[str]
    ) -> Score:
        """The score of a configuration, from each seed's rows of predictions.csv with
        `fold` and a recording in `group`.
        """

    def of_folders(self, folders: Sequence[Any]) -> Score:
        """The score of a configuration's seeds, each a `RunFolder`."""
        tables = []
        for folder in folders:
            table = folder.scored(split=folder.scored_split)
            recordings = table["group"].where(table["group"] != "", table["clip_id"])
            tables.append(table.assign(group=recordings))
        return self.configuration_score(tables, folders[0].classes)

    @staticmethod
    def of_choice(score: Score) -> Score:
        """The score with the interval of features that were chosen inside the folds."""
        own = np.array([score.low, score.high])
        low, high = widened(own, score.mean, CHOICE_WIDTH)
        return replace(score, low=float(low), high=float(high))

    @abstractmethod
    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """The scores of comparable runs."""

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

    def correct(self, run: TestedRun) -> Floats:
        """(N,) share of the seeds that are right: with tags, in every label."""
        return (run.decisions == run.labels).all(axis=2).mean(axis=0)

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
        """The 95 % intervals of `class_score`, perhaps with one of the mean."""

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        """Whether runs are compared by swapping whole recordings in every pattern."""
        return False

    def swapped(
        self, first: TestedRun, second: TestedRun, shares: Floats
    ) -> tuple[Floats, Floats]:
        """(2^G,) differences of two runs under every pattern of swaps, and (G,) the
        first's parts by recording, of the weights `shares` (G,); if `swapped_whole`.
        """
        raise NotImplementedError

    def perfect(self, run: TestedRun) -> float:
        """The score of a perfect order of the clips."""
        return 1.0
