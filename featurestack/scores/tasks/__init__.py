"""The tasks, what is predicted for a clip, by name: TASKS and those of rooms, loaded
when they are used.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError, nearest

if TYPE_CHECKING:
    from featurestack.scores.tasks.base import Task

# name -> module and object
TASKS = {
    "classes": "featurestack.scores.tasks.classes:CLASSES",
    "categories": "featurestack.scores.tasks.classes:CATEGORIES",
    "tags": "featurestack.scores.tasks.tags:TAGS",
}


def task_choices() -> tuple[str, ...]:
    """The values of the option TASK."""
    return "auto", *TASKS, *rooms.names("tasks")


def claiming_name(source: str) -> str | None:
    """The room's task that TASK=auto means for this source, if there is one."""
    for name, first_line in rooms.claims().items():
        file = Path(source).with_name(f"{name}.csv")
        if file.is_file():
            with file.open(encoding="utf-8", errors="replace") as lines:
                if lines.readline().strip() == first_line:
                    return name
    return None


def task_of(name: str) -> "Task":
    """The task that a run's option TASK names; RequestError for an unknown one."""
    loaded: Task
    if name in TASKS:
        module, _, task = TASKS[name].partition(":")
        loaded = getattr(importlib.import_module(module), task)
        return loaded
    of_rooms = rooms.names("tasks")
    if name not in of_rooms:
        raise RequestError(nearest("task", name, [*TASKS, *of_rooms]))
    loaded = rooms.load("tasks", name)
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
