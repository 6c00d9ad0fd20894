"""The interface of tasks: the targets of clips, the probabilities of logits, the
predicted classes, and the metric by which runs are ranked.

Conventions: N clips, K classes, S seeds. `targets` are as `Task.targets` gives them;
`labels` (N, K) bool says whether a clip has a class; `probabilities` are (N, K) or, of
several seeds, (S, N, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.scores.metrics import METRICS, Ints, Labels, Prediction

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
    # columns of history.csv without val_ or test_, and their scores of `prediction`
    history: ClassVar[Mapping[str, Callable[[Any], float]]]
    loss: ClassVar[str]  # key of train/optimisation.py's OBJECTIVES
    # a clip has any number of classes, each predicted above a threshold; else one, and
    # a temperature calibrates the probabilities
    multilabel: ClassVar[bool]
    # kind of errors in a report: confusion | labels; '' leaves them to a section of the
    # task's own
    errors: ClassVar[str] = ""
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
        rows = {fold: clip_metrics(self, run, run.folds == fold) for fold in folds}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")

    def whole_scores(self, run: TestedRun) -> dict[str, float]:
        """Every metric of all clips together; none if only folds have one."""
        if self.metric.pooled:
            return {}
        return clip_metrics(self, run, np.ones(len(run.folds), bool))

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

    def epoch_scores(
        self, targets: Ints, probabilities: Probabilities
    ) -> dict[str, float]:
        """Scores named as the columns of history.csv without val_ or test_."""
        labels = self.indicator(targets, probabilities.shape[-1])
        decided = self.decisions(probabilities, labels)
        prediction = Prediction(labels, probabilities, decided)
        return {name: score(prediction) for name, score in self.history.items()}


def labels_of(task: Task, text: pd.Series[str], classes: Sequence[str]) -> Labels:
    """(N, K): whether each clip has each class, from `text` as in `Task.targets`."""
    return task.indicator(task.targets(text, classes), len(classes))


def clip_metrics(task: Task, run: TestedRun, tested: Labels) -> dict[str, float]:
    """Every metric of the clips `tested` (N,), averaged over the seeds."""
    labels = run.labels[tested]
    seeds = [
        Prediction(labels, probabilities[tested], decided[tested])
        for probabilities, decided in zip(run.probabilities, run.decisions)
    ]
    kind = "tags" if task.multilabel else "classes"
    return {
        name: float(np.mean([score(seed) for seed in seeds]))
        for name, score in METRICS[kind].items()
    }
