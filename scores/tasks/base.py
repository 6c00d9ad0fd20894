"""The interface of tasks: the targets of clips, the probabilities of logits, the
predicted classes, and the metric by which runs are ranked.

Conventions: N clips, K classes, S seeds. `targets` are as `Task.targets` gives them;
`labels` (N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of
several seeds, (S, N, K).
"""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import mean_percent, percent
from featurestack.scores import calibration
from featurestack.scores.metrics import METRICS, Floats, Ints, Labels, Prediction

if TYPE_CHECKING:
    from featurestack.features_cache import Cache
    from featurestack.scores.ranking_metric import RankingMetric, TestedRun

Probabilities = NDArray[np.floating]
DEFAULT_THRESHOLD = 0.5


class Logits(Protocol):
    """A tensor (A, B, K) of logits; torch is not imported here."""

    def softmax(self, dim: int) -> Self: ...

    def sigmoid(self) -> Self: ...


Tensor = TypeVar("Tensor", bound=Logits)


class Task(ABC):
    """The kind of prediction for a clip."""

    name: str  # the value of TASK
    column: str  # the clip table's column from which targets are made
    # the score that ranks runs: its column in tables and, after test_, in history.csv
    score: ClassVar[str]
    metrics: ClassVar[str]  # key of METRICS: the scores of a fold
    # columns of history.csv without val_ or test_, and their scores of `prediction`
    history: ClassVar[Mapping[str, Callable[[Any], float]]]
    loss: ClassVar[str]  # key of train/optimisation.py's OBJECTIVES
    activation_call: ClassVar[str]  # the call in a user's own training loop
    # a clip has any number of classes, each predicted above a threshold; else one
    multilabel: ClassVar[bool]
    # a temperature calibrates the probabilities
    by_temperature: ClassVar[bool]
    # kind of errors in a report: confusion | labels; '' leaves them to a section of the
    # task's own
    errors: ClassVar[str] = ""
    fewest_classes: ClassVar[int]  # the training clips of a fold have at least so many
    framed: ClassVar[bool] = False  # its models have an answer for each frame
    # rooms' capabilities: a `Trainer`, and what `train predict` does with recordings;
    # '' for those of clips
    trainer: ClassVar[str] = ""
    predictor: ClassVar[str] = ""
    # values of options that do not apply to the task, and why
    unfit: Mapping[tuple[str, str], str]

    @property
    @abstractmethod
    def metric(self) -> RankingMetric:
        """The score that ranks runs; training needs its column alone."""

    # ---- targets

    @abstractmethod
    def refuse_clips(self, table: pd.DataFrame) -> None:
        """RequestError for clips that nothing can be learned from."""

    @abstractmethod
    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        """Name and category of each class of these clips, sorted by name."""

    @abstractmethod
    def targets(self, text: pd.Series[str], classes: Sequence[str]) -> Ints:
        """The targets in the table's column, or in `target` of predictions.csv."""

    @abstractmethod
    def indicator(self, targets: Ints, classes: int) -> Labels:
        """(N, K): whether each clip has each class."""

    @abstractmethod
    def known(self, text: pd.Series[str], classes: Collection[str]) -> Labels:
        """(N,): whether each target is made of these classes."""

    # ---- predictions

    @abstractmethod
    def activation(self, logits: Tensor) -> Tensor:
        """Probabilities (A, B, K) of logits (A, B, K)."""

    @abstractmethod
    def sound(self, probabilities: Probabilities) -> Labels:
        """(N,): whether numbers can be the probabilities of a clip."""

    @abstractmethod
    def predicted(
        self, probabilities: Probabilities, above: Labels, classes: Sequence[str]
    ) -> list[str]:
        """The prediction for each clip, as text; `above` (N, K): whether a probability
        is above its class's threshold.
        """

    @abstractmethod
    def decisions(
        self, probabilities: Probabilities, labels: Labels, folds: Ints | None = None
    ) -> Labels:
        """(S, N, K): whether a class is predicted, by thresholds of the other folds, or
        without `folds` by DEFAULT_THRESHOLD.
        """

    # ---- what a task may add

    def model_name(self, name: str) -> str:
        """The model that MODEL=`name` means for this task."""
        return name

    def refuse_channels(self, channels: Sequence[Any]) -> None:
        """RequestError for `StoredChannel`s that no model takes together."""
        return

    def content(
        self, cache: Cache, training: Any = None, channels: Sequence[Any] = ()
    ) -> dict[str, Any]:
        """The entries of a run's hash besides options, features and clips."""
        return {}

    def finish(self, run: Any, cache: Cache) -> Mapping[str, Any] | None:
        """The thresholds that run.json keeps after new tests of a `RunFolder`."""
        return None

    def read_answers(self, folder: Any, folds: Sequence[int]) -> Any:
        """The content of a `RunFolder`'s folds beside predictions.csv."""
        return None

    def targets_changed(self, run: TestedRun, cache: Cache) -> bool:
        """Whether targets outside the clips' table have changed since."""
        return False

    def scores_of_fold(
        self,
        folder: Any,
        fold: int,
        split: str,
        selection: str,
        member: str,
    ) -> dict[str, float]:
        """The scores of one fold of a `RunFolder`, as `epoch_scores`."""
        probabilities, targets = folder.answers(fold, split, selection, member)
        return self.epoch_scores(targets, probabilities)

    def fold_scores(self, run: TestedRun) -> pd.DataFrame:
        """Every metric (columns) in each fold (rows), averaged over the seeds."""
        folds = np.unique(run.folds).tolist()
        rows = {fold: self.clip_metrics(run, run.folds == fold) for fold in folds}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")

    def whole_scores(self, run: TestedRun) -> dict[str, float]:
        """Every metric of all clips together; none if only folds have one."""
        if self.metric.pooled:
            return {}
        return self.clip_metrics(run, np.ones(len(run.folds), bool))

    def clip_metrics(self, run: TestedRun, tested: Labels) -> dict[str, float]:
        """Every metric of the clips `tested` (N,), averaged over the seeds."""
        labels = run.labels[tested]
        seeds = [
            Prediction(labels, probabilities[tested], decided[tested])
            for probabilities, decided in zip(run.probabilities, run.decisions)
        ]
        return {
            name: float(np.mean([score(seed) for seed in seeds]))
            for name, score in METRICS[self.metrics].items()
        }

    def score_lines(self, run: Any, folds: Sequence[int]) -> list[str]:
        """Scores of these folds of a `RunFolder` at the last epoch and, if validation
        chose one, at the best epoch; of an ensemble those of each member too.
        """
        split = run.scored_split
        lines = []
        epochs = {"last": "last epoch"}
        if run.selection() == "best":
            epochs["best"] = f"best epoch by {run.training.options.select}"
        for selection, epoch in epochs.items():
            table = run.scores(split, selection).loc[folds]
            texts = []
            for name in self.printed_scores:
                # with tags, a fold may have no label to test
                values = table[name].dropna().tolist()
                spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
                text = (
                    f"{statistics.fmean(values):.3f}{spread}" if values else "unknown"
                )
                if name == "accuracy":
                    text = mean_percent(values)
                texts.append(f"{name} {text}")
            lines.append(f"{epoch}: {split} {', '.join(texts)}")
        if run.members:
            *alone, together = [
                percent(run.scores(split, member=name)[self.score].loc[folds].mean())
                for name in (*run.members, "")
            ]
            each = ", ".join(
                f"{name} alone {value}" for name, value in zip(run.members, alone)
            )
            lines.append(f"{self.score}: {each}, together {together} %")
        return lines

    def error_lines(self, run: Any) -> list[str]:
        """Lines of a summary on what a `RunFolder` errs in."""
        return []

    # ---- what follows from these

    @property
    def history_names(self) -> tuple[str, ...]:
        """The columns of history.csv without val_ or test_."""
        return tuple(self.history)

    @property
    def history_columns(self) -> tuple[str, ...]:
        """The columns of history.csv."""
        names = self.history_names
        return (
            "epoch",
            "lr",
            "seconds",
            "train_loss",
            f"train_{self.score}",
            *(f"{part}_{name}" for part in ("val", "test") for name in names),
        )

    @property
    def printed_scores(self) -> tuple[str, ...]:
        """The scores that a finished run prints."""
        return "loss", self.score, "f1"

    def refuse_options(self, options: object) -> None:
        """RequestError for an option with a value in `unfit`."""
        for (name, value), why in self.unfit.items():
            if getattr(options, name) == value:
                raise RequestError(f"{name.upper()}={value}{why}")

    def labels(self, text: pd.Series[str], classes: Sequence[str]) -> Labels:
        """(N, K): whether each clip has each class, from `text` as in `targets`."""
        return self.indicator(self.targets(text, classes), len(classes))

    def normalised(self, probabilities: Floats) -> Floats:
        """(…, K) probabilities as read from a file, without its rounding."""
        return probabilities

    def scaled(self, probabilities: Probabilities, temperature: float) -> Probabilities:
        """Probabilities (N, K) calibrated by a temperature, if the task has one."""
        if not self.by_temperature:
            return probabilities
        return calibration.scaled(probabilities, temperature)

    def default_thresholds(self, classes: Sequence[str]) -> dict[str, float]:
        """The thresholds of a model that has none of its own."""
        return dict.fromkeys(classes, DEFAULT_THRESHOLD) if self.multilabel else {}

    def epoch_scores(
        self, targets: Ints, probabilities: Probabilities
    ) -> dict[str, float]:
        """Scores named as the columns of history.csv without val_ or test_."""
        labels = self.indicator(targets, probabilities.shape[-1])
        decided = self.decisions(probabilities, labels)
        prediction = Prediction(labels, probabilities, decided)
        return {name: score(prediction) for name, score in self.history.items()}
