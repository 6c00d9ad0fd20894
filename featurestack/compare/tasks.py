"""The tasks, what is predicted for a clip, by name; each is loaded when it is used.

Conventions: N clips, K classes. `targets` are as `Task.targets` gives them: class
numbers (N,), or with several labels 0 and 1 (N, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featurestack.base.errors import RequestError, nearest
from featurestack.base.registry import object_at
from featurestack.features_cache.datasets import has_events

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.compare.metrics import Ints, RankingMetric
    from featurestack.features_cache.cache import Cache

# name -> module and object
TASKS = {
    "classes": "featurestack.compare.accuracy:CLASSES",
    "categories": "featurestack.compare.accuracy:CATEGORIES",
    "tags": "featurestack.compare.tags:TAGS",
    "events": "featurestack.extras.recordings.task:EVENTS",
}


class Task(ABC):
    """The kind of prediction for a clip; its defaults are for clips."""

    name: str  # the value of TASK
    column: str  # the clip table's column from which targets are made
    metric: RankingMetric  # the scores, and how runs are ranked
    # a clip has any number of classes, each predicted above a threshold; else it has
    # one, and a temperature calibrates the probabilities
    multilabel: bool
    model: str = "resnet18"  # the one that MODEL='s default means
    features: str = ""  # to train on if the cache lacks the default features
    answers: str = "each clip"  # what its models answer
    instead: str = ""  # what to type instead of commands that are only for clips
    # module and object: the class that trains in steps (`train.trainer.Trainer`), and
    # the function of `predict` (options, model, files -> exit status)
    trainer: str = "featurestack.train.trainer:Trainer"
    predict: str = "featurestack.predict.command:predict_clips"

    @abstractmethod
    def refuse(self, table: pd.DataFrame, channels: Sequence[Any] = ()) -> None:
        """RequestError for clips or channels that nothing can be learned from."""

    @abstractmethod
    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        """Name and category of each class of these clips, sorted by name."""

    @abstractmethod
    def targets(self, text: pd.Series[str], classes: Sequence[str]) -> Ints:
        """The targets in the table's column; -1 for a clip of other classes."""

    def activation(self, logits: Any) -> Any:
        """Probabilities (…, K) of a tensor of logits (…, K)."""
        return logits.sigmoid() if self.multilabel else logits.softmax(-1)

    def digests(
        self, cache: Cache, training: Any = None, channels: Sequence[Any] = ()
    ) -> dict[str, str]:
        """Digests of the data that a run is trained on besides the table of clips."""
        return {}

    def rules(self, run: Any, cache: Cache) -> Mapping[str, Any] | None:
        """The rules that run.json keeps after new tests of a `RunFolder`."""
        return None


def task_choices() -> tuple[str, ...]:
    return "auto", *TASKS


def task_of(name: str) -> Task:
    """The task that a run's option TASK names; RequestError for an unknown one."""
    if name not in TASKS:
        raise RequestError(nearest("task", name, TASKS))
    task: Task = object_at(TASKS[name])
    return task


def known_task(name: str, source: str) -> Task | None:
    """The task that TASK names for this source; None if auto leaves it to the clips."""
    if name == "auto":
        return task_of("events") if has_events(source) else None
    return task_of(name)


def require_clips(task: Task, name: str) -> None:
    """RequestError if the models of `name`, a run or a dataset, answer no clips."""
    if task.instead:
        raise RequestError(
            f"{name}: models answer {task.answers} here, and this command is for models"
            f" that answer each clip; {task.instead}"
        )
