"""Scores of predictions: what a metric is, and what the metrics of clips share.

A metric says how runs are compared by it: by their scores, the scores by recording, and
the score of a prediction that knows nothing. `scores.accuracy` has the metrics for one
label a clip, `scores.tags` for several.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds; `labels`
(N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of several
seeds, (S, N, K). Macro averages go over the classes that have test clips. No torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.quantities import percent
from featurestack.features_cache.table import SEPARATOR

SMALLEST_PROBABILITY = 1e-12  # limits the loss of a clip to 27.6
SUM_TOLERANCE = 1e-3  # probabilities whose sum differs more from 1 are damaged
DEFAULT_THRESHOLD = 0.5

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]


# ---- targets and predictions


def indicator(targets: Ints, classes: int) -> Labels:
    """(N, K): whether each clip has each class, from `Task.targets`."""
    if targets.ndim == 2:
        return targets > 0
    return targets[:, None] == np.arange(classes)


def known(targets: Ints) -> Labels:
    """(N,): whether each clip's labels are among the classes."""
    within: Labels = np.all(np.atleast_2d(targets.T) >= 0, axis=0)
    return within


def sound(probabilities: Probabilities, *, multilabel: bool) -> Labels:
    """(N,): whether numbers can be the probabilities of a clip."""
    possible: Labels = np.all((probabilities >= 0) & (probabilities <= 1), axis=1)
    if multilabel:
        return possible
    sums = probabilities.sum(axis=1, dtype=np.float64)
    return (probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)


def decide(
    probabilities: Probabilities, thresholds: Floats | float | None = None
) -> Labels:
    """(…, N, K): the most probable class, or with thresholds all above theirs."""
    if thresholds is not None:
        return probabilities > thresholds
    classes = probabilities.shape[-1]
    return np.eye(classes, dtype=bool)[probabilities.argmax(axis=-1)]


def names_of(decided: Labels, classes: Sequence[str]) -> list[str]:
    """The classes predicted for each clip as text: `dog;rain`."""
    names = np.array(classes, object)
    return [SEPARATOR.join(names[chosen]) for chosen in decided]


def decision_scores(labels: Labels, decided: Labels) -> dict[str, Floats]:
    """Precision, recall, F1 and support (K,) of decisions (N, K). scikit-learn takes
    milliseconds to check its input; a report asks hundreds of times. A class that is
    never predicted has precision 0.
    """
    hits = (labels & decided).sum(axis=0)
    support = labels.sum(axis=0)
    predictions = decided.sum(axis=0)
    return {
        "precision": hits / np.maximum(predictions, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(support + predictions, 1),
        "support": support,
    }


@dataclass(frozen=True)
class Evaluation:
    """One set of predictions, and what several scores share: (N, K) each."""

    labels: Labels  # whether a clip has a class
    probabilities: Probabilities
    decided: Labels  # whether a class is predicted
    # what orders clips within a class: probabilities, or their ranks within the fold if
    # there are several labels and folds
    order: Probabilities

    @cached_property
    def macro(self) -> dict[str, float]:
        """Means of `decision_scores` over the classes with test clips, else NaN."""
        by_class = decision_scores(self.labels, self.decided)
        tested = by_class["support"] > 0
        if not tested.any():
            return dict.fromkeys(by_class, np.nan)
        return {name: float(own[tested].mean()) for name, own in by_class.items()}


Scores = Mapping[str, Callable[[Evaluation], float]]


def balanced_accuracy(evaluation: Evaluation) -> float:
    """Mean recall over the classes, however many clips each has."""
    return evaluation.macro["recall"]


def macro_f1(evaluation: Evaluation) -> float:
    return evaluation.macro["f1"]


def largest_first(values: NDArray[np.number]) -> Ints:
    """Places along the last axis, the largest first; equals keep their order."""
    return np.argsort(-values, kind="stable")


# ---- the score of a configuration


@dataclass(frozen=True)
class Estimate:
    """A share, or a difference of two, with its interval; NaN is unknown."""

    value: float
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether it has an interval."""
        return not np.isnan(self.low)

    @property
    def interval(self) -> str:
        """`79.1 to 87.0`; '' if there is none."""
        if not self.bounded:
            return ""
        return f"{percent(self.low)} to {percent(self.high)}"


@dataclass(frozen=True)
class Score(Estimate):
    """The score of a configuration, a mean over its seeds, with its interval by
    recording (none for a single one), and the folds' own means over seeds.
    """

    by_fold: "pd.Series[float]"

    def __str__(self) -> str:
        """
        >>> str(Score(0.835, 0.791, 0.87, pd.Series([0.83, 0.84])))
        '83.5 % (95 % CI 79.1 to 87.0)'
        """
        text = f"{percent(self.value)} %"
        if not self.bounded:
            return text
        return f"{text} (95 % CI {self.interval})"


@dataclass(frozen=True, eq=False, kw_only=True)
class TestedRun:
    """What the S seeds of a configuration predicted for the tested clips."""

    metric: "RankingMetric"
    folders: tuple[Any, ...]  # (S,) a `RunFolder` for each seed, sorted by seed
    classes: tuple[str, ...]  # (K,)
    clip_ids: NDArray[np.str_]  # (N,) sorted
    groups: NDArray[np.str_]  # (N,) source recordings
    folds: Ints  # (N,) the fold that tested the clip
    labels: Labels  # (N, K) whether a clip has the class; tags: several or none
    # (S, N, K) each: 'last', and 'best' if validation chose one
    checkpoints: dict[str, Floats]

    @property
    def checkpoint(self) -> str:
        """The checkpoint that counts: best if validation chose one, else last."""
        return "best" if "best" in self.checkpoints else "last"

    @property
    def probabilities(self) -> Floats:
        """(S, N, K) of the checkpoint that counts; rows sum to one, except for tags."""
        return self.checkpoints[self.checkpoint]

    @cached_property
    def decisions(self) -> Labels:
        """(S, N, K) whether a class is predicted; tags: by other folds' thresholds."""
        given = self.labels, self.probabilities, self.folds
        return decide(self.probabilities, self.metric.thresholds(*given))

    @property
    def correct(self) -> Floats:
        """(N,) share of the seeds that are right: with tags, in every label."""
        return (self.decisions == self.labels).all(axis=2).mean(axis=0)


# ---- metrics


INTERVALS = ("low", "high", "recall_low", "recall_high")
DECIDED_COLUMNS = (
    ("precision", "Precision", "decimals"),
    ("recall", "Recall", "decimals"),
    ("recall_low", "From", "decimals"),
    ("recall_high", "To", "decimals"),
    ("f1", "F1", "decimals"),
    ("support", "Clips", "number"),
)
OF_CLIPS = (  # `score_columns` of both metrics of clips
    ("macro_f1", "Macro F1", "decimals", False),
    ("log_loss", "Log loss", "decimals", True),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class RankingMetric(ABC):
    """A score that ranks runs, from 0 to 1, and how a report names it."""

    name: str  # its column in tables and, after test_, in history.csv
    title: str  # in sentences
    heading: str  # heading of tables and figures
    history: Scores  # other columns of history.csv, without val_ or test_
    scores: Scores  # of a report
    # for decisions about one fold; None: the most probable class
    threshold: float | None = None
    class_score: str  # a class's score by which classes are compared
    meaning: str  # what the score is
    chance_meaning: str  # what a prediction that knows nothing gets
    errors: str  # kind of errors in a report: confusion | labels
    # the score of all folds together, which is not the mean of the folds' own scores
    pooled: bool
    labels: str = "classes"  # what is told apart, in a report
    # more scores of a run: column, heading, kind of cell, whether less is better
    score_columns: Sequence[tuple[str, str, str, bool]] = OF_CLIPS
    # columns of the table of classes: column, heading, kind of cell
    class_columns: Sequence[tuple[str, str, str]]

    @property
    def class_heading(self) -> str:
        """The heading of `class_score`."""
        columns = self.class_columns
        return next(own[1] for own in columns if own[0] == self.class_score)

    @property
    def history_columns(self) -> tuple[str, ...]:
        """The columns of history.csv."""
        names = dict.fromkeys((*self.history, self.name))
        of_sides = [f"{side}_{name}" for side in ("val", "test") for name in names]
        train = "train_loss", f"train_{self.name}"
        return ("epoch", "lr", "seconds", *train, *of_sides)

    @abstractmethod
    def compared(self, runs: Sequence[TestedRun]) -> tuple[Floats, ...]:
        """For R comparable runs: the score (R,) by which they are ranked, its 95 %
        interval (R, 2), sums of scores by recording (G, R), and the sum that a
        correctly predicted clip adds to them (N,).
        """

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

    @abstractmethod
    def class_table(self, run: TestedRun) -> pd.DataFrame:
        """Scores of each class (rows), among them precision, recall, f1 and support,
        means over the seeds, with 95 % intervals (INTERVALS). One more row has the
        mean's.
        """

    @abstractmethod
    def score(self, labels: Labels, probabilities: Probabilities, folds: Ints) -> float:
        """The score of the test clips of all folds together."""

    @abstractmethod
    def clip_scores(
        self, labels: Labels, probabilities: Probabilities, clips: pd.DataFrame
    ) -> Floats:
        """(N,) each clip's part of the score; `clips` has columns fold and group."""

    def order(self, run: TestedRun) -> Floats:
        """(S, N, K) the numbers that order clips within a class."""
        return run.probabilities

    def thresholds(
        self, labels: Labels, probabilities: Floats, folds: Ints
    ) -> Floats | None:
        """(S, N, K) thresholds, fitted without the clip's fold; None for one label."""
        return None

    @abstractmethod
    def error_lines(self, run: TestedRun) -> list[str]:
        """Lines of the summary about the most frequent errors of a one-seed run."""

    def units(self, run: TestedRun) -> NDArray[np.generic]:
        """(N,) what tests flip the signs of: the clips' recordings."""
        return run.groups

    def perfect(self, run: TestedRun) -> Floats:
        """(K,) each class's score if the order of the clips is perfect."""
        return np.ones(len(run.classes))

    def epoch_scores(
        self, targets: Ints, probabilities: Probabilities
    ) -> dict[str, float]:
        """Scores by their columns of history.csv, without val_ or test_."""
        labels = indicator(targets, probabilities.shape[-1])
        decided = decide(probabilities, self.threshold)
        evaluation = Evaluation(labels, probabilities, decided, probabilities)
        return {name: score(evaluation) for name, score in self.history.items()}

    def of_fold(
        self, folder: Any, fold: int, split: str, selection: str
    ) -> dict[str, float]:
        """The scores of one fold of a `RunFolder`, as columns of history.csv."""
        probabilities, targets = folder.answers(fold, split, selection)
        return self.epoch_scores(targets, probabilities)

    def of_run(self, run: TestedRun) -> tuple[pd.DataFrame, dict[str, float]]:
        """Every score (columns) by fold (rows), and of all clips; means over seeds."""
        each = [*zip(run.probabilities, run.decisions, self.order(run))]  # (S,)
        clips = {fold: run.folds == fold for fold in np.unique(run.folds).tolist()}
        rows = []
        for tested in (*clips.values(), np.ones(len(run.folds), bool)):
            seeds = [
                Evaluation(run.labels[tested], *(part[tested] for part in of_seed))
                for of_seed in each
            ]
            scores = {
                name: float(np.mean([score(seed) for seed in seeds]))
                for name, score in self.scores.items()
            }
            rows.append(scores)
        *by_fold, whole = rows
        return pd.DataFrame(by_fold, pd.Index([*clips], name="fold")), whole


def tested_fields(folder: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """The fields of a `TestedRun` that are in these rows of predictions.csv, with
    `fold`, and in their `RunFolder`.
    """
    classes = tuple(folder.classes)
    recordings = rows["group"].where(rows["group"] != "", rows["clip_id"])
    targets = folder.task.targets(rows["target"], classes)
    return {
        "metric": folder.task.metric,
        "classes": classes,
        "clip_ids": rows["clip_id"].to_numpy(dtype=str),
        "groups": recordings.to_numpy(dtype=str),
        "folds": rows["fold"].to_numpy(dtype=np.intp),
        "labels": indicator(targets, len(classes)),
    }


def tested_run(folders: Sequence[Any]) -> TestedRun:
    """What the `RunFolder`s of a configuration's seeds predicted, as far as they tested
    the same clips as the fullest one.
    """
    tables = [folder.scored().sort_values("clip_id") for folder in folders]
    most = max(tables, key=len)
    clips = most["clip_id"].tolist()
    kept = [n for n, own in enumerate(tables) if own["clip_id"].tolist() == clips]
    shared = tested_fields(folders[kept[0]], most)
    probabilities = [tables[n][[*shared["classes"]]].to_numpy() for n in kept]
    return TestedRun(
        **shared,
        folders=tuple(folders[n] for n in kept),
        checkpoints={"last": np.stack(probabilities)},
    )


def decided_scores(run: TestedRun) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, means over the seeds."""
    seeds = [decision_scores(run.labels, chosen) for chosen in run.decisions]
    return pd.DataFrame(
        {name: np.mean([scores[name] for scores in seeds], axis=0) for name in seeds[0]}
    )
