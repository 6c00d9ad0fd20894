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

from featurestack.scores.metrics import METRICS, Ints, Labels, Prediction

if TYPE_CHECKING:
    from featurestack.features_cache.cache import Cache
    from featurestack.scores.ranking_metric import ClipMetric, RankingMetric

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

    @property
    @abstractmethod
    def score(self) -> str:
        """The score that ranks runs: its column in tables and, after test_, in
        history.csv.
        """

    @property
    @abstractmethod
    def history(self) -> Mapping[str, Callable[[Any], float]]:
        """Columns of history.csv without val_ or test_, and their scores of
        `Prediction`.
        """

    @property
    @abstractmethod
    def loss(self) -> str:
        """A key of train/optimisation.py's OBJECTIVES."""

    @property
    @abstractmethod
    def multilabel(self) -> bool:
        """Whether a clip has any number of classes, each predicted above a threshold;
        else it has one, and a temperature calibrates the probabilities.
        """

    @property
    @abstractmethod
    def stages(self) -> Stages:
        """Its own way of training, predicting and scoring; CLIPS for that of clips."""

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
        """Probabilities (…, K) of logits (…, K)."""

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

    @abstractmethod
    def error_lines(self, run: Any) -> list[str]:
        """Lines of a summary on what a `RunFolder` errs in."""

    @property
    def history_columns(self) -> tuple[str, ...]:
        """The columns of history.csv."""
        names = dict.fromkeys((*self.history, self.score))
        return (
            "epoch",
            "lr",
            "seconds",
            "train_loss",
            f"train_{self.score}",
            *(f"{part}_{name}" for part in ("val", "test") for name in names),
        )


def epoch_scores(
    task: Task, targets: Ints, probabilities: Probabilities
) -> dict[str, float]:
    """Scores named as the columns of history.csv without val_ or test_."""
    labels = task.indicator(targets, probabilities.shape[-1])
    decided = task.decisions(probabilities, labels)
    prediction = Prediction(labels, probabilities, decided, probabilities)
    return {name: score(prediction) for name, score in task.history.items()}


def clip_metric(task: Task) -> ClipMetric:
    """The metric of a task whose models answer each clip."""
    from featurestack.scores.ranking_metric import ClipMetric

    assert isinstance(task.metric, ClipMetric), f"{task.name} has no clips to score"
    return task.metric


def labels_of(task: Task, text: pd.Series[str], classes: Sequence[str]) -> Labels:
    """(N, K): whether each clip has each class, from `text` as in `Task.targets`."""
    return task.indicator(task.targets(text, classes), len(classes))


def clip_metrics(run: Any, tested: Labels) -> dict[str, float]:
    """Every metric of the clips `tested` (N,), averaged over the seeds."""
    labels = run.labels[tested]
    several = run.task.multilabel
    order = run.ranks if several else run.probabilities
    seeds = [
        Prediction(labels, *(answers[tested] for answers in of_seed))
        for of_seed in zip(run.probabilities, run.decisions, order)
    ]
    kind = "tags" if several else "classes"
    return {
        name: float(np.mean([score(seed) for seed in seeds]))
        for name, score in METRICS[kind].items()
    }


# ---- stages


class Stages:
    """The stages of a task whose models answer each clip. A task with other answers has
    stages of its own, and names in `instead` what its users type in the place of
    commands on clips.
    """

    answers: ClassVar[str] = "each clip"
    rows: ClassVar[str] = "clips"  # rows of predictions.csv, in a report
    labels: ClassVar[str] = ""  # its classes in a report; '' for the task's name
    instead: ClassVar[str] = ""

    # ---- training

    def model_name(self, name: str) -> str:
        """The model that MODEL=`name` means."""
        return name

    def refuse(self, options: Any, channels: Sequence[Any]) -> None:
        """RequestError for options, or `StoredChannel`s, that cannot be trained."""

    def targets(
        self, cache: Cache, training: Any = None, channels: Sequence[Any] = ()
    ) -> dict[str, str]:
        """Digests of the data beside the clips' table that a run is trained on."""
        return {}

    def trainer(self) -> Any:
        """The class that trains; None for those of clips."""
        return None

    def finish(self, run: Any, cache: Cache) -> Mapping[str, Any] | None:
        """The rules that run.json keeps after new tests of a `RunFolder`."""
        return None

    # ---- prediction

    def predict(self) -> Any:
        """The function of `predict`: (options, model, files) to an exit status; None
        for that of clips.
        """
        return None

    # ---- scores

    def read_answers(self, folder: Any, folds: Sequence[int]) -> Any:
        """The content of a `RunFolder`'s folds beside predictions.csv."""
        return None

    def scores_of_fold(
        self, folder: Any, fold: int, split: str, selection: str
    ) -> dict[str, float]:
        """The scores of one fold of a `RunFolder`, as `epoch_scores`."""
        probabilities, targets = folder.answers(fold, split, selection)
        return epoch_scores(folder.task, targets, probabilities)

    def run_scores(self, run: Any) -> tuple[pd.DataFrame, dict[str, float]]:
        """Every metric (columns) in each fold (rows), averaged over the seeds; and
        those of all clips together.
        """
        folds = np.unique(run.folds).tolist()
        rows = {fold: clip_metrics(run, run.folds == fold) for fold in folds}
        by_fold = pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")
        return by_fold, clip_metrics(run, np.ones(len(run.folds), bool))


CLIPS = Stages()
