"""The score of a model, its parts by clip, its interval: accuracy here, mAP of clips
with several labels in `average_precision`.

`Predictions` are what one model predicted; their metric says what their score is. The
parts of a score are numbers of the clips whose mean is the score, so that tests and
intervals of differences read both metrics in the same way. Uneven classes are scored by
balanced accuracy: each class counts the same, whatever its number of clips.

What would flatter a model: accuracy if classes are uneven, because a constant answer
then has a high accuracy.

Conventions: N clips, K classes, S seeds, G source recordings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.quantities import percent
from featurestack.comparison.metrics import (
    DEFAULT_THRESHOLD,
    Evaluation,
    Floats,
    Ints,
    Labels,
    Probabilities,
    Score,
    Scores,
    accuracy,
    balanced_accuracy,
    class_weights,
    decide,
    decision_scores,
    indicator,
    log_loss,
    macro_f1,
)
from featurestack.comparison.significance import accuracy_interval

# classes are uneven from this ratio of clips in the largest to clips in the smallest
UNEVEN = 1.5


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, with its interval; NaN is unknown.

    >>> str(Estimate(0.835, 0.791, 0.87))
    '83.5 % (95 % CI 79.1 to 87.0)'
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan  # of a difference, corrected for its family

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

    def __str__(self) -> str:
        text = f"{percent(self.value)} %"
        return f"{text} (95 % CI {self.interval})" if self.bounded else text


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """What a model, or the S seeds of one, predicted for N clips."""

    name: str = ""
    metric: "Metric"
    classes: tuple[str, ...]  # (K,)
    groups: NDArray[np.generic]  # (N,) source recordings
    folds: Ints  # (S, N) the fold that tested the clip
    labels: Labels  # (N, K) whether the clip has the class
    probabilities: Floats  # (S, N, K)
    variance: float = 1.0  # of its score, over the variance of clips
    exact: bool = False  # whether training has one solution, as ridge's

    @cached_property
    def decisions(self) -> Labels:
        """(S, N, K) whether a class is predicted."""
        return self.metric.decisions(self)

    @cached_property
    def order(self) -> Floats:
        """(S, N, K) the numbers that order clips within a class."""
        return self.metric.order(self)

    @property
    def right(self) -> Labels:
        """(S, N) whether a seed is right, in every label."""
        return np.all(self.decisions == self.labels, axis=2)

    @property
    def correct(self) -> Floats:
        """(N,) share of the seeds that are right, in every label."""
        return self.right.mean(axis=0)

    @cached_property
    def units(self) -> NDArray[np.generic]:
        """(N,) what tests flip the signs of: the recordings, or sets of them."""
        return self.metric.units(self)

    @cached_property
    def weights(self) -> Floats:
        """(N,) each clip's weight in the score; their mean is 1."""
        if not self.metric.balanced:
            return np.ones(len(self.labels))
        return self.labels @ class_weights(self.labels.sum(axis=0))

    @cached_property
    def parts_of_seeds(self) -> Floats:
        """(S, N) the parts of each seed's score by clip, whose mean is the score."""
        return self.metric.parts(self)

    @property
    def parts(self) -> Floats:
        """(N,) the parts of the score by clip, means over the seeds."""
        return self.parts_of_seeds.mean(axis=0)

    @cached_property
    def score(self) -> Estimate:
        """The score with its interval (none for a single recording)."""
        low, high = self.metric.interval(self)
        return Estimate(self.metric.score(self), float(low), float(high))

    def interval_of(self, correct: Floats) -> Floats:
        """(M, 2) the 95 % intervals of accuracies, balanced if the metric is, of clips
        that are right as in `correct` (N, M).
        """
        labels = (
            self.labels[:, self.labels.any(axis=0)] if self.metric.balanced else None
        )
        return accuracy_interval(
            correct, self.groups, self.weights, self.variance, labels
        )

    def evaluation(self, seed: int, clips: Labels) -> Evaluation:
        """What one seed predicted for some of the clips, for other scores."""
        of_seed = self.probabilities, self.decisions, self.order
        return Evaluation(
            self.labels[clips], *(values[seed][clips] for values in of_seed)
        )


# ---- metrics


INTERVALS = ("low", "high", "recall_low", "recall_high")


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A score that ranks models, from 0 to 1: the share of clips that are predicted
    right, or, if it is `balanced`, the mean of the classes' recalls.
    """

    name: str  # its column in tables and, after test_, in history.csv
    title: str  # in sentences
    heading: str  # heading of tables and figures
    history: Scores  # other columns of history.csv, without val_ or test_
    scores: Mapping[str, Score]  # of a report, by their columns
    balanced: bool = False  # whether each class counts the same
    class_score: str = "recall"  # a class's score by which classes are compared
    class_heading: str = "Recall"
    # whether clips have several labels or none, each predicted above a threshold; the
    # score of all folds together is then not the mean of the scores of the folds
    multilabel: bool = False

    @property
    def history_columns(self) -> tuple[str, ...]:
        """The columns of history.csv."""
        names = dict.fromkeys((*self.history, self.name))
        of_sides = [f"{side}_{name}" for side in ("val", "test") for name in names]
        train = "train_loss", f"train_{self.name}"
        return ("epoch", "lr", "seconds", *train, *of_sides)

    def decisions(self, predictions: Predictions) -> Labels:
        """(S, N, K) `Predictions.decisions`."""
        return decide(predictions.probabilities)

    def order(self, predictions: Predictions) -> Floats:
        """(S, N, K) `Predictions.order`."""
        return predictions.probabilities

    def units(self, predictions: Predictions) -> NDArray[np.generic]:
        """(N,) `Predictions.units`."""
        return predictions.groups

    def score(self, predictions: Predictions) -> float:
        """The score of the test clips of all folds together."""
        # rounded, so that no order of clips makes equal scores differ
        return round(float(predictions.parts.mean()), 12)

    def parts(self, predictions: Predictions) -> Floats:
        """(S, N) `Predictions.parts_of_seeds`."""
        return predictions.right * predictions.weights

    def chance(self, predictions: Predictions) -> Floats:
        """(N,) the parts of the score of the best constant answer. The score is spread
        evenly over all clips: if each recording has one class, the constant answer is
        right in whole recordings, and its parts would vary more than any model's.
        """
        by_class = predictions.weights @ predictions.labels
        return by_class.max() / len(predictions.labels) * predictions.weights

    def interval(self, predictions: Predictions) -> Floats:
        """(2,) the 95 % interval of the score."""
        return predictions.interval_of(predictions.correct[:, None])[0]

    def class_table(self, predictions: Predictions) -> pd.DataFrame:
        """A row for each class: precision, recall, f1, support and others, averaged
        over the seeds, with 95 % intervals by recording (INTERVALS), here of recall;
        NaN for a class without a clip. A last row may have the interval of the mean.
        """
        labels = predictions.labels
        tested: Labels = np.any(labels, axis=0)
        of_class = labels[:, tested].astype(float)
        correct = np.repeat(predictions.correct[:, None], of_class.shape[1], axis=1)
        intervals = np.full((len(tested), 2), np.nan)
        intervals[tested] = accuracy_interval(correct, predictions.groups, of_class)
        return decided_scores(predictions).assign(
            recall_low=intervals[:, 0], recall_high=intervals[:, 1]
        )


ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    heading="Accuracy",
    history={
        "loss": log_loss,
        "accuracy": accuracy,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    },
    scores={
        "accuracy": Score(accuracy, "Accuracy", "percent"),
        "balanced_accuracy": Score(balanced_accuracy, "Balanced accuracy", "percent"),
        "macro_f1": Score(macro_f1, "Macro F1"),
        "log_loss": Score(log_loss, "Log loss", less=True),
    },
)
BALANCED_ACCURACY = replace(
    ACCURACY,
    name="balanced_accuracy",
    title="balanced accuracy",
    heading="Balanced accuracy",
    balanced=True,
)


def uneven(labels: Labels) -> tuple[int, int] | None:
    """The numbers of clips of the smallest and the largest class with clips, if they
    are UNEVEN; else None.
    """
    sizes = labels.sum(axis=0)
    fewest, most = int(sizes[sizes > 0].min(initial=len(labels))), int(sizes.max())
    return (fewest, most) if most >= UNEVEN * fewest else None


def suited(metric: Metric, labels: Labels) -> Metric:
    """The metric that ranks models on clips of these labels (N, K)."""
    if metric is ACCURACY and uneven(labels):
        return BALANCED_ACCURACY
    return metric


# ---- further scores


def decided_scores(predictions: Predictions) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, means over the seeds."""
    seeds = [
        decision_scores(predictions.labels, decided)
        for decided in predictions.decisions
    ]
    return pd.DataFrame(
        {name: np.mean([scores[name] for scores in seeds], axis=0) for name in seeds[0]}
    )


def epoch_scores(
    metric: Metric, targets: Ints, probabilities: Probabilities
) -> dict[str, float]:
    """Scores by their columns of history.csv, without val_ or test_."""
    labels = indicator(targets, probabilities.shape[-1])
    decided = decide(probabilities, DEFAULT_THRESHOLD if metric.multilabel else None)
    evaluation = Evaluation(labels, probabilities, decided, probabilities)
    return {name: score(evaluation) for name, score in metric.history.items()}


def every_score(predictions: Predictions) -> tuple[pd.DataFrame, dict[str, float]]:
    """Every score (columns) by fold (rows), and of all clips; means over seeds."""
    folds = predictions.folds
    clips = {fold: folds == fold for fold in np.unique(folds).tolist()}
    rows = []
    for tested in (*clips.values(), np.ones(folds.shape, bool)):
        seeds = [
            predictions.evaluation(seed, tested_clips)
            for seed, tested_clips in enumerate(tested)
            if tested_clips.any()
        ]
        scores = {
            name: float(np.mean([score.function(seed) for seed in seeds]))
            for name, score in predictions.metric.scores.items()
        }
        rows.append(scores)
    *by_fold, whole = rows
    return pd.DataFrame(by_fold, pd.Index([*clips], name="fold")), whole
