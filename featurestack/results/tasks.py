"""The tasks, what is predicted for a clip, by name; each is loaded when it is used.

Conventions: N clips, K classes. `targets` are as `Task.targets` gives them: class
numbers (N,), or with several labels 0 and 1 (N, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featurestack.base.errors import RequestError, nearest
from featurestack.base.registry import object_at

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.compare.metrics import Ints
    from featurestack.compare.scores import Metric

# name -> module and object
TASKS = {
    "classes": "featurestack.results.targets:CLASSES",
    "categories": "featurestack.results.targets:CATEGORIES",
    "tags": "featurestack.results.targets:TAGS",
}


class Task(ABC):
    """The kind of prediction for a clip."""

    name: str  # the value of TASK
    column: str  # the clip table's column from which targets are made
    metric: Metric  # the scores, and how runs are ranked
    # a clip has any number of classes, each predicted above a threshold; else it has
    # one, and a temperature calibrates the probabilities
    multilabel: bool

    @abstractmethod
    def refuse(self, table: pd.DataFrame) -> None:
        """RequestError for clips that nothing can be learned from."""

    @abstractmethod
    def class_entries(self, table: pd.DataFrame) -> list[dict[str, str]]:
        """Name and category of each class of these clips, sorted by name."""

    @abstractmethod
    def targets(self, text: pd.Series[str], classes: Sequence[str]) -> Ints:
        """The targets in the table's column; -1 for a clip of other classes."""

    def activation(self, logits: Any) -> Any:
        """Probabilities (…, K) of a tensor of logits (…, K)."""
        return logits.sigmoid() if self.multilabel else logits.softmax(-1)


def task_choices() -> tuple[str, ...]:
    return "auto", *TASKS


def task_of(name: str) -> Task:
    """The task that a run's option TASK names; RequestError for an unknown one."""
    if name not in TASKS:
        raise RequestError(nearest("task", name, TASKS))
    task: Task = object_at(TASKS[name])
    return task
