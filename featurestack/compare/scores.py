"""The score of a model, its parts by clip, its interval: accuracy, or mAP if clips have
several labels.

`Predictions` are what one model predicted; their metric says what their score is. The
parts of a score are numbers of the clips whose mean is the score, so that tests and
intervals of differences read both metrics in the same way. Uneven classes are scored by
balanced accuracy: each class counts the same, whatever its number of clips.

What would flatter: a constant answer, which has a high accuracy if classes are uneven.

Conventions: N clips, K classes, S seeds, G source recordings.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.quantities import percent
from featurestack.compare import average_precision as ap
from featurestack.compare.metrics import (
    DEFAULT_THRESHOLD,
    Evaluation,
    Floats,
    Ints,
    Labels,
    Probabilities,
    Scores,
    accuracy,
    balanced_accuracy,
    binary_log_loss,
    decide,
    decision_scores,
    indicator,
    log_loss,
    macro_f1,
)
from featurestack.compare.significance import accuracy_interval
from featurestack.compare.thresholds import cross_fitted_thresholds

# classes are uneven from this ratio of clips in the largest to clips in the smallest
UNEVEN = 1.5
SMALL = 1e-3  # less than the difference between a label and none


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
    folds: Ints  # (N,) the fold that tested the clip
    labels: Labels  # (N, K) whether the clip has the class
    probabilities: Floats  # (S, N, K)
    variance: float = 1.0  # of its score, over the variance of clips

    @cached_property
    def decisions(self) -> Labels:
        """(S, N, K) whether a class is predicted; of several labels by thresholds that
        were fitted to the other folds.
        """
        thresholds = None
        if self.metric.threshold is not None:
            seeds = [
                cross_fitted_thresholds(self.labels, seed, self.folds)
                for seed in self.probabilities
            ]
            thresholds = np.stack(seeds)
        return decide(self.probabilities, thresholds)

    @cached_property
    def order(self) -> Floats:
        """(S, N, K) the numbers that order clips within a class."""
        if not self.metric.pooled:
            return self.probabilities
        return np.stack([ap.fold_ranks(own, self.folds) for own in self.probabilities])

    @property
    def correct(self) -> Floats:
        """(N,) share of the seeds that are right, in every label."""
        return (self.decisions == self.labels).all(axis=2).mean(axis=0)

    @cached_property
    def units(self) -> NDArray[np.generic]:
        """(N,) what tests flip the signs of: the recordings, or sets of them."""
        if self.metric.pooled:
            return ap.sets_of_recordings(self.labels, self.groups)
        return self.groups

    @cached_property
    def weights(self) -> Floats:
        """(N,) each clip's weight in the score; their mean is 1."""
        if not self.metric.balanced:
            return np.ones(len(self.labels))
        sizes = self.labels.sum(axis=0)
        of_class = len(self.labels) / np.maximum(sizes, 1) / (sizes > 0).sum()
        return self.labels @ of_class

    @cached_property
    def parts(self) -> Floats:
        """(N,) the parts of the score by clip, whose mean is the score."""
        return self.metric.parts(self)

    @cached_property
    def score(self) -> Estimate:
        """The score with its interval (none for a single recording)."""
        low, high = self.metric.interval(self)
        return Estimate(self.metric.score(self), float(low), float(high))

    def evaluation(self, seed: int, clips: Labels) -> Evaluation:
        """What one seed predicted for some of the clips, for other scores."""
        of_seed = self.probabilities, self.decisions, self.order
        return Evaluation(self.labels[clips], *(own[seed][clips] for own in of_seed))


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
OF_CLIPS = (
    ("macro_f1", "Macro F1", "decimals", False),
    ("log_loss", "Log loss", "decimals", True),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric(ABC):
    """A score that ranks models, from 0 to 1, and how a report names it."""

    name: str  # its column in tables and, after test_, in history.csv
    title: str  # in sentences
    heading: str  # heading of tables and figures
    history: Scores  # other columns of history.csv, without val_ or test_
    scores: Scores  # of a report
    # for decisions about one fold; None: the most probable class
    threshold: float | None = None
    balanced: bool = False  # whether each class counts the same
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
    def score(self, predictions: Predictions) -> float:
        """The score of the test clips of all folds together."""

    @abstractmethod
    def parts(self, predictions: Predictions) -> Floats:
        """(N,) `Predictions.parts`."""

    @abstractmethod
    def chance(self, predictions: Predictions) -> Floats:
        """(N,) the parts of the score of an answer that knows nothing of a clip."""

    @abstractmethod
    def interval(self, predictions: Predictions) -> Floats:
        """(2,) the 95 % interval of the score."""

    @abstractmethod
    def class_table(self, predictions: Predictions) -> pd.DataFrame:
        """Scores of each class (rows), among them precision, recall, f1 and support,
        means over the seeds, with 95 % intervals (INTERVALS). One more row has the
        mean's.
        """


class Accuracy(Metric):
    """The share of clips that are predicted right, or the mean of the classes' recalls:
    each clip, or each class, counts the same.
    """

    def score(self, predictions: Predictions) -> float:
        # rounded, so that no order of clips makes equal scores differ
        return round(float(predictions.parts.mean()), 12)

    def parts(self, predictions: Predictions) -> Floats:
        return predictions.correct * predictions.weights

    def chance(self, predictions: Predictions) -> Floats:
        """The parts of the best constant answer, the same in every recording: in
        recordings with one class each, its own hits would vary more than any model's.
        """
        by_class = predictions.weights @ predictions.labels
        return by_class.max() / len(predictions.labels) * predictions.weights

    def interval(self, predictions: Predictions) -> Floats:
        return accuracy_interval(
            predictions.correct[:, None],
            predictions.groups,
            predictions.weights,
            predictions.variance,
        )[0]

    def class_table(self, predictions: Predictions) -> pd.DataFrame:
        """With intervals of recall, by recording; NaN for a class without a clip."""
        labels = predictions.labels
        tested: Labels = np.any(labels, axis=0)
        of_class = labels[:, tested].astype(float)
        correct = np.repeat(predictions.correct[:, None], of_class.shape[1], axis=1)
        intervals = np.full((len(tested), 2), np.nan)
        intervals[tested] = accuracy_interval(correct, predictions.groups, of_class)
        return decided_scores(predictions).assign(
            recall_low=intervals[:, 0], recall_high=intervals[:, 1]
        )


class MeanAveragePrecision(Metric):
    """Mean average precision of scores that are ranked within each fold, then pooled
    over the folds.
    """

    def score(self, predictions: Predictions) -> float:
        seeds = [
            ap.macro(ap.average_precision(predictions.labels, ranks))
            for ranks in predictions.order
        ]
        return float(np.mean(seeds))

    def parts(self, predictions: Predictions) -> Floats:
        """Jackknife values of the recordings, spread over their clips."""
        seeds = [
            ap.jackknife_values(predictions.labels, ranks, predictions.units)
            for ranks in predictions.order
        ]
        return over_clips(np.mean(seeds, axis=0), predictions.units)

    def chance(self, predictions: Predictions) -> Floats:
        """The parts of random ranks within the folds."""
        units = predictions.units
        values = ap.random_order_values(predictions.labels, units, predictions.folds)
        return over_clips(values, units)

    def interval(self, predictions: Predictions) -> Floats:
        return self.precision(predictions)[-1, 1:]

    def precision(self, predictions: Predictions) -> Floats:
        """(K + 1, 3) average precisions and their intervals."""
        return ap.precision_of_seeds(
            predictions.labels,
            predictions.order,
            predictions.groups,
            predictions.variance,
        )

    def class_table(self, predictions: Predictions) -> pd.DataFrame:
        """With average precision and its interval; the last row has the mean's."""
        labels, precision = predictions.labels, self.precision(predictions)
        areas = [ap.auroc(labels, ranks) for ranks in predictions.order]
        table = pd.DataFrame(
            {
                "average_precision": precision[:-1, 0],
                "low": np.nan,  # the place of the interval's columns
                "high": np.nan,
                "prevalence": labels.mean(axis=0),
                "auroc": np.mean(areas, axis=0),
            }
        )
        table = table.join(decided_scores(predictions)).reindex(range(len(precision)))
        return table.assign(low=precision[:, 1], high=precision[:, 2])


def over_clips(values: Floats, units: NDArray[np.generic]) -> Floats:
    """(N,) numbers of clips whose sums by unit, over N, are these values (G,)."""
    _, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    return (values * len(units) / sizes)[place]


def mean_average_precision(evaluation: Evaluation) -> float:
    """Mean average precision of the classes; biased upwards in one fold."""
    return ap.macro(ap.average_precision(evaluation.labels, evaluation.order))


def macro_auroc(evaluation: Evaluation) -> float:
    """Mean over the classes of the area under the ROC curve."""
    return ap.macro(ap.auroc(evaluation.labels, evaluation.order))


ACCURACY = Accuracy(
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
        "accuracy": accuracy,
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
        "log_loss": log_loss,
    },
    class_score="recall",
    meaning="the share of test clips that are predicted correctly",
    chance_meaning="the share of the commonest class",
    errors="confusion",
    pooled=False,
    class_columns=(("class", "Class", "text"), *DECIDED_COLUMNS),
)
BALANCED_ACCURACY = replace(
    ACCURACY,
    name="balanced_accuracy",
    title="balanced accuracy",
    heading="Balanced accuracy",
    balanced=True,
    meaning=(
        "the mean of the classes’ recalls, because the largest class has at least"
        f" {UNEVEN:g} times as many clips as the smallest"
    ),
    chance_meaning="one over the number of classes, which every constant answer gets",
    score_columns=(("accuracy", "Accuracy", "percent", False), *OF_CLIPS),
)
MEAN_AVERAGE_PRECISION = MeanAveragePrecision(
    labels="tags",
    name="map",
    title="mAP",
    heading="mAP",
    history={
        "loss": binary_log_loss,
        "map": mean_average_precision,
        "recall": balanced_accuracy,
        "f1": macro_f1,
    },
    scores={
        "map": mean_average_precision,
        "macro_auroc": macro_auroc,
        "macro_f1": macro_f1,
        "log_loss": binary_log_loss,
    },
    threshold=DEFAULT_THRESHOLD,
    class_score="average_precision",
    meaning=(
        "the mean over the classes of average precision; clips of all folds are ordered"
        " by their rank within the fold, because the models of two folds are calibrated"
        " separately. One fold’s own mAP is too high for rare classes. F1 is at"
        " thresholds fitted on the other folds"
    ),
    chance_meaning="what a random order of each fold’s clips gets on average",
    errors="labels",
    pooled=True,
    score_columns=(*OF_CLIPS, ("macro_auroc", "Macro AUROC", "decimals", False)),
    class_columns=(
        ("class", "Class", "text"),
        ("average_precision", "Average precision", "decimals"),
        ("low", "From", "decimals"),
        ("high", "To", "decimals"),
        ("prevalence", "Prevalence", "decimals"),
        ("auroc", "AUROC", "decimals"),
        *DECIDED_COLUMNS,
    ),
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
    seeds = [decision_scores(predictions.labels, own) for own in predictions.decisions]
    return pd.DataFrame(
        {name: np.mean([scores[name] for scores in seeds], axis=0) for name in seeds[0]}
    )


def epoch_scores(
    metric: Metric, targets: Ints, probabilities: Probabilities
) -> dict[str, float]:
    """Scores by their columns of history.csv, without val_ or test_."""
    labels = indicator(targets, probabilities.shape[-1])
    decided = decide(probabilities, metric.threshold)
    evaluation = Evaluation(labels, probabilities, decided, probabilities)
    return {name: score(evaluation) for name, score in metric.history.items()}


def every_score(predictions: Predictions) -> tuple[pd.DataFrame, dict[str, float]]:
    """Every score (columns) by fold (rows), and of all clips; means over seeds."""
    folds = predictions.folds
    clips = {fold: folds == fold for fold in np.unique(folds).tolist()}
    rows = []
    for tested in (*clips.values(), np.ones(len(folds), bool)):
        seeds = [
            predictions.evaluation(seed, tested)
            for seed in range(len(predictions.probabilities))
        ]
        scores = {
            name: float(np.mean([score(seed) for seed in seeds]))
            for name, score in predictions.metric.scores.items()
        }
        rows.append(scores)
    *by_fold, whole = rows
    return pd.DataFrame(by_fold, pd.Index([*clips], name="fold")), whole


def perfect(predictions: Predictions) -> Floats:
    """(K,) each class's score if the order of the clips is perfect: below 1 if ranks
    within folds are pooled and the prevalence differs between folds.
    """
    labels = predictions.labels
    if not predictions.metric.pooled:
        return np.ones(labels.shape[1])
    rng = np.random.default_rng(0)
    order = labels + SMALL * rng.random(labels.shape)  # so that no two clips are equal
    return ap.average_precision(labels, ap.fold_ranks(order, predictions.folds))
