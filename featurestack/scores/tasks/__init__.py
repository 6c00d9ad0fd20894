"""The tasks, what is predicted for a clip, by name, loaded when they are used."""

import importlib
from typing import TYPE_CHECKING

from featurestack.commandline.errors import RequestError, nearest
from featurestack.features_cache.names import has_events

if TYPE_CHECKING:
    from featurestack.scores.tasks.base import Task

# name -> module and object
TASKS = {
    "classes": "featurestack.scores.tasks.classes:CLASSES",
    "categories": "featurestack.scores.tasks.classes:CATEGORIES",
    "tags": "featurestack.scores.tasks.tags:TAGS",
    "events": "featurestack.sound_events.task:EVENTS",
}


def task_choices() -> tuple[str, ...]:
    """The values of the option TASK."""
    return "auto", *TASKS


def claiming_name(source: str) -> str | None:
    """The task that TASK=auto means for this source, if it is no task of clips."""
    return "events" if has_events(source) else None


def task_of(name: str) -> "Task":
    """The task that a run's option TASK names; RequestError for an unknown one."""
    if name not in TASKS:
        raise RequestError(nearest("task", name, TASKS))
    module, _, task = TASKS[name].partition(":")
    loaded: Task = getattr(importlib.import_module(module), task)
    return loaded


def require_clips(task: "Task", name: str) -> None:
    """RequestError if what is called `name`, a run or a dataset, has other answers than
    one for each clip: of every command that takes clips alone.
    """
    if instead := task.stages.instead:
        raise RequestError(
            f"{name}: models answer {task.stages.answers} here, and this command is"
            f" for models that answer each clip; {instead}"
        )
