"""The tasks, as objects: CLASSES, one label a clip; CATEGORIES, its category instead;
TAGS, several labels or none.

A task says what its targets are, which activation gives probabilities, what is
predicted, how predictions are scored, and how its score is called. A further task is a
further class here.

Conventions: N clips, K classes, S seeds, R runs, G source recordings, F folds.
`targets` are as `Task.targets` gives them; `labels` (N, K) bool says whether a clip has
a class; `probabilities` are (N, K) or, of several seeds, (S, N, K).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import ClassVar, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.features_cache.table import (
    SEPARATOR,
    by_label,
    label_indicator,
    refuse_class_names,
)
from featurestack.results import calibration, scores, tags
from featurestack.results.bootstrap import (
    accuracy_interval,
    fold_weights,
    recording_sums,
)
from featurestack.results.configuration import Score
from featurestack.results.scores import Floats, Ints
from featurestack.results.training_options import TaskName

SUM_TOLERANCE = 1e-3  # probabilities whose sum differs more from 1 are damaged

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.floating]


class Logits(Protocol):
    """A tensor (A, B, K) of logits; torch is not imported here."""

    def softmax(self, dim: int) -> Self: ...

    def sigmoid(self) -> Self: ...


Tensor = TypeVar("Tensor", bound=Logits)


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


@dataclass(frozen=True, eq=False)
class Compared:
    """The scores of R comparable runs."""

    accuracy: Floats  # (R,) the score that ranks them
    by_fold: Floats  # (R, F)
    interval: Floats  # (R, 2) 95 %; NaN for a single recording
    # (G, R) sums by recording
    by_recording: Floats
    worth: Floats  # (N,) a correctly predicted clip adds this to the sums


class Task(ABC):
    """The kind of prediction for a clip: one class, or any number of tags."""

    name: TaskName  # the value of TASK
    column: str  # the clip table's column from which targets are made
    score: ClassVar[str]  # name, in sentences, of the score that runs are ranked by
    metric: ClassVar[str]  # its column in tables and, after test_, in history.csv
    class_score: ClassVar[str]  # a class's score by which classes are compared
    activation_call: ClassVar[str]  # the call in a user's own training loop
    fewest_classes: ClassVar[int]  # the training clips of a fold have at least so many
    by_threshold: ClassVar[bool]  # a class is predicted above its threshold
    # values of options that do not apply to the task, and why
    unfit: Mapping[tuple[str, str], str]

    @property
    def history_columns(self) -> tuple[str, ...]:
        """The columns of history.csv."""
        measured = ["loss", self.metric, "precision", "recall", "f1"]
        return (
            *("epoch", "lr", "seconds", "train_loss", f"train_{self.metric}"),
            *(f"{part}_{name}" for part in ("val", "test") for name in measured),
        )

    @property
    def printed_scores(self) -> tuple[str, ...]:
        """The scores that a finished run prints."""
        return "loss", self.metric, "f1"

    def __reduce__(self) -> tuple[object, tuple[TaskName]]:
        """In another process it is the task of that process."""
        return task_of, (self.name,)

    # ---- targets

    def refuse_options(self, options: object) -> None:
        """RequestError for an option with a value in `unfit`."""
        for (name, value), why in self.unfit.items():
            if getattr(options, name) == value:
                raise RequestError(f"{name.upper()}={value}{why}")

    @abstractmethod
    def refuse_clips(self, table: pd.DataFrame) -> None:
        """RequestError for clips that nothing can be learned from, or forbidden class
        names.
        """

    @abstractmethod
    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        """Name and category of each class of these clips, sorted by name."""

    @abstractmethod
    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        """The targets in `text`: the table's column, or `target` of
        predictions.csv.
        """

    @abstractmethod
    def indicator(self, targets: Ints, classes: int) -> Labels:
        """(N, K): whether each clip has each class."""

    def labels(self, text: "pd.Series[str]", classes: Sequence[str]) -> Labels:
        """(N, K): whether each clip has each class, from `text` as in `targets`."""
        return self.indicator(self.targets(text, classes), len(classes))

    @abstractmethod
    def known(self, text: "pd.Series[str]", classes: Collection[str]) -> Labels:
        """(N,): whether each target is made of these classes."""

    @abstractmethod
    def class_weights(self, counts: Ints, clips: int) -> Floats:
        """(K,) weights for BALANCE=loss, from the number of clips that have each
        class.
        """

    # ---- predictions

    @abstractmethod
    def activation(self, logits: Tensor) -> Tensor:
        """Probabilities (A, B, K) of logits (A, B, K)."""

    @abstractmethod
    def sound(self, probabilities: Probabilities) -> Labels:
        """(N,): whether numbers of at least 0 can be the probabilities of a clip."""

    @abstractmethod
    def normalised(self, probabilities: Floats) -> Floats:
        """(…, K) probabilities as read from a file, without its rounding."""

    @abstractmethod
    def scaled(self, probabilities: Probabilities, temperature: float) -> Probabilities:
        """Probabilities (N, K) calibrated by a temperature."""

    @abstractmethod
    def fit_temperature(self, labels: Labels, probabilities: Probabilities) -> float:
        """The temperature of clips that the model was not trained on."""

    @abstractmethod
    def fit_rejection(
        self,
        labels: Labels,
        probabilities: Probabilities,
    ) -> float | None:
        """The probability below which answers are withheld; None if there is none."""

    @abstractmethod
    def default_thresholds(self, classes: Sequence[str]) -> dict[str, float]:
        """The thresholds of a model that has none of its own."""

    @abstractmethod
    def predicted(
        self,
        probabilities: Probabilities,
        above: Labels,
        classes: Sequence[str],
    ) -> list[str]:
        """The prediction for each clip, as text.

        above  (N, K): whether a probability is above its class's threshold
        """

    @abstractmethod
    def decisions(self, probabilities: Floats, labels: Labels, folds: Ints) -> Labels:
        """(S, N, K): whether a class is predicted, by nothing chosen on the clip's own
        fold.
        """

    # ---- scores of one set of predictions

    @abstractmethod
    def epoch_scores(
        self,
        targets: Ints,
        probabilities: Probabilities,
    ) -> dict[str, float]:
        """Scores named as the columns of history.csv without val_ or test_."""

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
    def fold_metrics(
        self,
        labels: Labels,
        probabilities: Probabilities,
        decided: Labels,
    ) -> dict[str, float]:
        """Every metric of the clips of one fold.

        decided  (N, K) the `decisions` about them
        """

    @abstractmethod
    def calibration_scores(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> dict[str, float]:
        """Calibration errors and temperature, folds pooled, means over the seeds; empty
        if the task is not calibrated by a temperature.
        """

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
    def log_likelihoods(self, probabilities: Floats, classes: int) -> Floats:
        """(N,) logarithms of the first row of `clip_scores`, summed over the labels."""

    # ---- scores of runs

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

    @abstractmethod
    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """The scores of comparable runs."""

    @abstractmethod
    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """(G,) sums by recording of predictions that know nothing of a clip."""

    @abstractmethod
    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        """Whether runs are compared by swapping whole recordings in every pattern."""

    @abstractmethod
    def perfect(self, run: TestedRun) -> float:
        """The score of a perfect order of the clips."""

    @abstractmethod
    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        """(K,) columns of the report of classes, beside those of the decisions."""

    @abstractmethod
    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Columns with the 95 % interval of `class_score`, a row for each class and
        perhaps one for their mean.
        """


class Classes(Task):
    """One label a clip: softmax, accuracy; targets (N,) are class numbers, -1 for no
    class.
    """

    score = "accuracy"
    metric = "accuracy"
    class_score = "recall"
    activation_call = "logits.softmax(1)"
    fewest_classes = 2
    by_threshold = False

    def __init__(self, name: TaskName, column: str) -> None:
        self.name = name
        self.column = column
        reason = f": TASK={name} has no such score; val_loss is one"
        self.unfit = {("select", "val_map"): reason}

    def refuse_clips(self, table: pd.DataFrame) -> None:
        names = table[self.column]
        if (names == "").any():
            clip = table["clip_id"][names == ""].iloc[0]
            raise RequestError(
                f"TASK={self.name}: clip {clip} has no category, the column of the"
                " dataset's CSV; give TASK=classes"
            )
        if names.nunique() < 2:
            raise RequestError(
                f"one class only ({names.iloc[0]}): training needs two or more"
            )
        refuse_class_names(names)

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        pairs = pd.DataFrame(
            {"name": table[self.column], "category": table["category"]}
        )
        return pairs.drop_duplicates("name").sort_values("name").to_dict("records")

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        return pd.Index(classes).get_indexer(text)

    def indicator(self, targets: Ints, classes: int) -> Labels:
        return targets[:, None] == np.arange(classes)

    def known(self, text: "pd.Series[str]", classes: Collection[str]) -> Labels:
        return text.isin(classes).to_numpy()

    def class_weights(self, counts: Ints, clips: int) -> Floats:
        """Inverse to the number of clips, 1 on average over the clips."""
        present = np.count_nonzero(counts)
        return clips / present / np.maximum(counts, 1)

    def activation(self, logits: Tensor) -> Tensor:
        return logits.softmax(2)

    def sound(self, probabilities: Probabilities) -> Labels:
        sums = probabilities.sum(axis=1, dtype=np.float64)
        return np.abs(sums - 1) <= SUM_TOLERANCE

    def normalised(self, probabilities: Floats) -> Floats:
        return probabilities / probabilities.sum(axis=-1, keepdims=True)

    def scaled(self, probabilities: Probabilities, temperature: float) -> Probabilities:
        return calibration.scaled(probabilities, temperature)

    def fit_temperature(self, labels: Labels, probabilities: Probabilities) -> float:
        return calibration.fit_temperature(labels.argmax(axis=1), probabilities)

    def fit_rejection(
        self,
        labels: Labels,
        probabilities: Probabilities,
    ) -> float | None:
        return calibration.rejection_threshold(labels.argmax(axis=1), probabilities)

    def default_thresholds(self, classes: Sequence[str]) -> dict[str, float]:
        """None: the most probable class is predicted."""
        return {}

    def predicted(
        self,
        probabilities: Probabilities,
        above: Labels,
        classes: Sequence[str],
    ) -> list[str]:
        names = np.array(classes, object)
        most_probable = probabilities.argmax(axis=1)
        return names[most_probable].tolist()

    def decisions(self, probabilities: Floats, labels: Labels, folds: Ints) -> Labels:
        classes = probabilities.shape[-1]
        most_probable = probabilities.argmax(axis=-1)
        return np.eye(classes, dtype=bool)[most_probable]

    def epoch_scores(
        self,
        targets: Ints,
        probabilities: Probabilities,
    ) -> dict[str, float]:
        return scores.epoch_scores(targets.astype(np.intp), probabilities)

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

    def fold_metrics(
        self,
        labels: Labels,
        probabilities: Probabilities,
        decided: Labels,
    ) -> dict[str, float]:
        return scores.all_metrics(labels.argmax(axis=1), probabilities)

    def calibration_scores(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> dict[str, float]:
        """The expected calibration error, its floor (the error of a perfectly
        calibrated model with the same confidences), the error with each fold's logits
        divided by the temperature of the other folds, and the temperature for new
        audio, fitted to all folds.
        """
        target = labels.argmax(axis=1)
        rows = []
        for before in probabilities:
            after = np.empty_like(before)
            temperatures = calibration.cross_fitted_temperatures(target, before, folds)
            for fold, temperature in temperatures.items():
                tested = folds == fold
                after[tested] = calibration.scaled(before[tested], temperature)
            unscaled = scores.Prediction(target, before)
            rescaled = scores.Prediction(target, after)
            rows.append(
                {
                    "calibration_error": scores.calibration_error(unscaled),
                    "calibration_floor": scores.calibration_floor(before),
                    "calibration_scaled": scores.calibration_error(rescaled),
                    "calibration_temperature": calibration.fit_temperature(
                        target, before
                    ),
                }
            )
        return pd.DataFrame(rows).mean().to_dict()

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

    def log_likelihoods(self, probabilities: Floats, classes: int) -> Floats:
        positive = np.maximum(probabilities, scores.SMALLEST_PROBABILITY)
        return np.log(positive)

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

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        return False

    def perfect(self, run: TestedRun) -> float:
        return 1.0

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


class Tags(Task):
    """Several labels a clip, or none: a sigmoid for each class, mAP; targets (N, K) are
    1 for each label.
    """

    name = "tags"
    column = "label"
    score = "mAP"
    metric = "map"
    class_score = "average_precision"
    activation_call = "logits.sigmoid()"
    fewest_classes = 1
    by_threshold = True
    unfit: Mapping[tuple[str, str], str] = {
        ("select", "val_accuracy"): (": TASK=tags has no such score; val_loss is one"),
        ("balance", "sample"): (
            " draws clips by their class; with tags give BALANCE=loss"
        ),
    }

    def refuse_clips(self, table: pd.DataFrame) -> None:
        if table["label"].nunique() < 2:
            raise RequestError(
                f"all clips have the same labels ({table['label'].iloc[0] or 'none'}):"
                " nothing to learn"
            )
        refuse_class_names(by_label(table)["label"])

    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        names = sorted({*by_label(table)["label"]} - {""})
        return [{"name": name, "category": ""} for name in names]

    def targets(self, text: "pd.Series[str]", classes: Sequence[str]) -> Ints:
        return label_indicator(text, classes).astype(np.intp)

    def indicator(self, targets: Ints, classes: int) -> Labels:
        return targets > 0

    def known(self, text: "pd.Series[str]", classes: Collection[str]) -> Labels:
        each = by_label(pd.DataFrame({"label": text.to_numpy()}))["label"]
        known = each.isin([*classes, ""])
        return known.groupby(level=0).all().to_numpy()

    def class_weights(self, counts: Ints, clips: int) -> Floats:
        """Positive clips weigh the number of negative ones divided by their own."""
        return (clips - counts) / np.maximum(counts, 1)

    def activation(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def sound(self, probabilities: Probabilities) -> Labels:
        highest: Probabilities = probabilities.max(axis=1)
        return highest <= 1

    def normalised(self, probabilities: Floats) -> Floats:
        return probabilities

    def scaled(self, probabilities: Probabilities, temperature: float) -> Probabilities:
        """The probabilities, unchanged: thresholds take the temperature's place."""
        return probabilities

    def fit_temperature(self, labels: Labels, probabilities: Probabilities) -> float:
        return 1.0

    def fit_rejection(
        self,
        labels: Labels,
        probabilities: Probabilities,
    ) -> float | None:
        return None

    def default_thresholds(self, classes: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(classes, 0.5)

    def predicted(
        self,
        probabilities: Probabilities,
        above: Labels,
        classes: Sequence[str],
    ) -> list[str]:
        names = np.array(classes, object)
        return [SEPARATOR.join(names[chosen]) for chosen in above]

    def decisions(self, probabilities: Floats, labels: Labels, folds: Ints) -> Labels:
        """Each class above its threshold from the other folds."""
        thresholds = [
            calibration.cross_fitted_thresholds(labels, of_seed, folds)
            for of_seed in probabilities
        ]
        return probabilities > np.stack(thresholds)

    def epoch_scores(
        self,
        targets: Ints,
        probabilities: Probabilities,
    ) -> dict[str, float]:
        return tags.epoch_scores(targets > 0, probabilities)

    def pooled_score(
        self,
        labels: Labels,
        probabilities: Probabilities,
        folds: Ints,
    ) -> float:
        ranks = tags.fold_ranks(probabilities, folds)
        return tags.macro(tags.average_precision(labels, ranks))

    def ranking_score(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> float:
        """mAP of all folds."""
        of_seeds = [self.pooled_score(labels, part, folds) for part in probabilities]
        return float(np.mean(of_seeds))

    def fold_metrics(
        self,
        labels: Labels,
        probabilities: Probabilities,
        decided: Labels,
    ) -> dict[str, float]:
        """mAP within one fold is biased upwards."""
        of_epoch = tags.epoch_scores(labels, probabilities)
        of_decisions = tags.decision_scores(labels, decided)
        tested = of_decisions["support"] > 0
        return {
            "map": of_epoch["map"],
            "macro_auroc": tags.macro(tags.auroc(labels, probabilities)),
            "lwlrap": tags.lwlrap(labels, probabilities),
            "macro_f1": tags.macro(of_decisions["f1"][tested]),
            "log_loss": of_epoch["loss"],
        }

    def calibration_scores(
        self,
        labels: Labels,
        probabilities: Floats,
        folds: Ints,
    ) -> dict[str, float]:
        return {}

    def clip_scores(
        self,
        labels: Labels,
        probabilities: Probabilities,
        clips: pd.DataFrame,
    ) -> Floats:
        """The geometric mean of the probabilities of what is true, and the clip's part
        of mAP.
        """
        folds = clips["fold"].to_numpy()
        _, recording = np.unique(clips["group"], return_inverse=True)
        logarithms = tags.log_probabilities(labels, probabilities)
        ranks = tags.fold_ranks(probabilities, folds)
        values = tags.jackknife_values(labels, ranks, recording)
        weights = recording_sums(fold_weights(folds)[:, None], recording)[:, 0]
        parts = values / weights
        geometric_mean = np.exp(logarithms.mean(axis=1))
        return np.stack([geometric_mean, parts[recording]])

    def log_likelihoods(self, probabilities: Floats, classes: int) -> Floats:
        positive = np.maximum(probabilities, scores.SMALLEST_PROBABILITY)
        return classes * np.log(positive)

    def configuration_score(
        self,
        tables: Sequence[pd.DataFrame],
        classes: Sequence[str],
    ) -> Score:
        seeds = []
        by_fold = []
        for table in tables:
            folds = table["fold"].to_numpy()
            probabilities = table[classes].to_numpy()
            labels = self.labels(table["target"], classes)
            ranks = tags.fold_ranks(probabilities, folds)
            seeds.append((labels, ranks, table["group"].to_numpy(str)))
            for fold in np.unique(folds):
                tested = folds == fold
                precision = tags.average_precision(
                    labels[tested], probabilities[tested]
                )
                by_fold.append((fold, tags.macro(precision)))
        mean, low, high = tags.precision_of_seeds(seeds)[-1]
        of_folds = pd.DataFrame(by_fold, columns=["fold", "map"])
        return Score(mean, low, high, of_folds.groupby("fold")["map"].mean())

    def compared(self, runs: Sequence[TestedRun]) -> Compared:
        """mAP is that of all folds, which is not the mean of the folds' mAP; sums by
        recording are jackknife values.
        """
        first = runs[0]
        labels = first.labels
        folds = np.unique(first.folds)
        by_fold = np.empty((len(runs), len(folds)))
        values = []
        for row, run in enumerate(runs):
            for column, fold in enumerate(folds):
                tested = run.folds == fold
                of_fold = [
                    tags.macro(tags.average_precision(labels[tested], ranks[tested]))
                    for ranks in run.ranks
                ]
                by_fold[row, column] = np.mean(of_fold)
            of_seeds = [
                tags.jackknife_values(labels, ranks, first.groups)
                for ranks in run.ranks
            ]
            values.append(np.mean(of_seeds, axis=0))
        by_recording = np.stack(values, axis=1)
        return Compared(
            accuracy=by_recording.sum(axis=0),
            by_fold=by_fold,
            interval=np.stack([run.precision[-1, 1:] for run in runs]),
            by_recording=by_recording,
            worth=np.full(len(labels), 1 / len(labels)),
        )

    def chance_values(self, run: TestedRun, worth: Floats) -> Floats:
        """mAP of a random order."""
        return tags.random_order_values(run.labels, run.groups)

    def swapped_whole(self, run: TestedRun, recordings: int) -> bool:
        return tags.swappable(run.labels, recordings)

    def perfect(self, run: TestedRun) -> float:
        """Below 1 if the prevalence differs between folds, because ranks within a fold
        are compared.
        """
        return tags.perfect_precision(run.labels, run.folds)

    def class_scores(self, run: TestedRun) -> dict[str, Floats]:
        areas = [tags.auroc(run.labels, ranks) for ranks in run.ranks]
        unknown = np.full(len(run.classes), np.nan)
        return {
            "average_precision": run.precision[:-1, 0],
            "low": unknown,  # the place of the interval's columns
            "high": unknown,
            "prevalence": run.labels.mean(axis=0),
            "auroc": np.mean(areas, axis=0),
        }

    def class_intervals(self, run: TestedRun) -> pd.DataFrame:
        """Intervals of average precision by class; the last row is the mean's."""
        return pd.DataFrame(run.precision[:, 1:], columns=["low", "high"])


CLASSES = Classes("classes", "label")
CATEGORIES = Classes("categories", "category")
TAGS = Tags()
TASKS: dict[TaskName, Task] = {task.name: task for task in (CLASSES, CATEGORIES, TAGS)}


def task_of(name: TaskName) -> Task:
    """The task that a run's option TASK names."""
    return TASKS[name]
