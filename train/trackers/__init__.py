"""Where a fold's progress is shown besides its CSV files: one small module a tracker, each optional.

A tracker follows one fold: `epoch` with each row of history.csv, `finish` once with the outcome.
history.csv stays the record; a tracker is told what stands there and nothing is ever read back.
"""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from commandline import RequestError, nearest
from train.scores import confusion_matrix

# A tracker's name: the package that it needs. Its module here has the same name and is loaded when asked for.
TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb"}


@dataclass(frozen=True)
class Fold:
    """What a tracker is told at the start: whose fold this is, and where its own files go."""

    config: Mapping[str, Any]
    """run.json"""
    run: str
    """the run folder's name"""
    number: int
    epochs_done: int
    """more than 0 where a fold is continued"""
    folder: Path
    """for the tracker's files; made when needed"""


@dataclass(frozen=True)
class Outcome:
    """What a tracker is told at the end."""

    classes: Sequence[str]
    target: np.ndarray
    """(n,) class numbers of the test clips"""
    predicted: np.ndarray
    """(n,) class numbers that the last model gave them"""
    summary: Mapping[str, float]
    """test accuracy and the like"""

    def confusion(self) -> np.ndarray:
        """(K, K) counts, a row a true class."""
        return confusion_matrix(self.target, self.predicted, len(self.classes))


class Tracker(Protocol):
    """Follows one fold."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """One row of history.csv, without what is empty there."""

    def finish(self, outcome: Outcome | None) -> None:
        """The fold has ended, or stopped early (None): write everything out and say where it is."""


def check(wanted: str) -> list[str]:
    """The trackers in `tensorboard wandb`; RequestError where one is unknown or its package is missing."""
    names = wanted.replace(",", " ").split()
    for name in names:
        if name not in TRACKERS:
            raise RequestError(nearest("tracker", name, TRACKERS))
        if importlib.util.find_spec(TRACKERS[name]) is None:
            raise RequestError(f"TRACKER={name} needs its package: pip install {TRACKERS[name]}")
    return names


def follow(wanted: str, fold: Fold) -> list[Tracker]:
    """The trackers named, opened for a fold."""
    return [importlib.import_module(f"train.trackers.{name}").open_tracker(fold) for name in check(wanted)]
