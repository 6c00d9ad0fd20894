"""The score that ranks runs: a mean over folds (ACCURACY), or one score of all folds
together (`scores.mean_average_precision`).

A metric says how runs compare by it: their scores by recording, what a prediction that
knows nothing gets. Those of clips (`ClipMetric`) are functions of answers and targets.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds; `labels`
(N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of several
seeds, (S, N, K).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

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

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

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
        self, tables: Sequence[pd.DataFrame], classes: Sequence[str]
    ) -> Score:
        """The score of a configuration, from each seed's rows of predictions.csv with
        `fold` and a recording in `group`.
        """

    def of_folders(self, folders: Sequence[Any]) -> Score:
        tables = []
        for folder in folders:
            table = folder.scored()
            recordings = table["group"].where(table["group"] != "", table["clip_id"])
            tables.append(table.assign(group=recordings))
        return self.configuration_score(tables, folders[0].classes)

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


def of_choice(score: Score) -> Score:
    """The score with the interval of features that were chosen inside the folds."""
    own = np.array([score.low, score.high])
    low, high = widened(own, score.mean, CHOICE_WIDTH)
    return replace(score, low=float(low), high=float(high))
