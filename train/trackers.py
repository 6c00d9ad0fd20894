"""Where a fold's progress is shown besides its CSV files: TensorBoard, Weights & Biases, each optional.

A tracker follows one fold: `epoch` with each row of history.csv, `finish` once with the outcome.
history.csv stays the record; a tracker is told what stands there and nothing is ever read back.
A new tracker is one class under `TRACKERS.register`; its package is imported when it is opened.
"""

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from commandline.registry import Registry, RequestError
from results.scores import confusion_matrix

PROJECT = "featurestack"  # in Weights & Biases
PIXELS = 400  # of the confusion matrix in TensorBoard, at least


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


class Tracker(Protocol):
    """Follows one fold; `package` is what it needs to be installed."""

    package: ClassVar[str]

    def __init__(self, fold: Fold) -> None: ...

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """One row of history.csv, without what is empty there."""

    def finish(self, outcome: Outcome | None) -> None:
        """The fold has ended, or stopped early (None): write everything out and say where it is."""


TRACKERS: Registry[type[Tracker]] = Registry("tracker")


@TRACKERS.register("tensorboard")
class TensorBoard(Tracker):
    """Event files in `<folder>/fold<number>`: curves, configuration, confusion matrix."""

    package = "tensorboard"

    def __init__(self, fold: Fold) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder = fold.folder / f"fold{fold.number}"
        # What a killed run wrote after its last saved epoch is dropped by `purge_step`.
        purge = fold.epochs_done + 1 if fold.epochs_done else None
        self.writer = SummaryWriter(str(self.folder), purge_step=purge)
        text = json.dumps(fold.config, indent=2, ensure_ascii=False)
        self.writer.add_text("run.json", "    " + text.replace("\n", "\n    "))  # indented: code in Markdown
        if fold.config.get("note"):
            self.writer.add_text("note", fold.config["note"])

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            part, _, metric = name.partition("_")
            tag = f"{metric}/{part}" if metric else name  # train, val and test in one chart
            self.writer.add_scalar(tag, value, number)

    def finish(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            for name, value in outcome.summary.items():
                self.writer.add_scalar(f"summary/{name}", value)
            counts = confusion_matrix(outcome.target, outcome.predicted, len(outcome.classes))
            self.writer.add_image("confusion", grey_levels(counts), dataformats="HW")
        self.writer.close()
        print(f"tensorboard --logdir {self.folder.parent}")


def grey_levels(confusion: np.ndarray) -> np.ndarray:
    """Counts (K, K) as grey levels (side, side) uint8: white for none, black for a whole class."""
    recall = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    times = -(-PIXELS // len(recall))
    return np.kron(255 - np.round(255 * recall), np.ones((times, times))).astype(np.uint8)


@TRACKERS.register("wandb")
class WeightsAndBiases(Tracker):
    """A W&B run a fold, in a group a feature set. Without an API key it stays offline.

    Its id comes from the run's hash, so that a continued fold is the same run there.
    """

    package = "wandb"

    def __init__(self, fold: Fold) -> None:
        import wandb

        fold.folder.mkdir(parents=True, exist_ok=True)  # else wandb would take another folder, silently
        known = wandb.login(prompt=False, verify=False)  # a prompt would wait for an answer for ever
        mode = os.environ.get("WANDB_MODE", "online" if known else "offline")  # wandb's own switch counts
        self.run = wandb.init(
            project=PROJECT,
            group=str(fold.config.get("features")),
            name=f"fold{fold.number}",
            id=f"{fold.config.get('hash', fold.run)}-fold{fold.number}",
            resume="allow" if mode == "online" else None,
            job_type=fold.run,
            notes=fold.config.get("note") or None,
            config=dict(fold.config),
            dir=str(fold.folder),
            mode=cast(Any, mode),  # a wrong value of the variable is wandb's to refuse
            settings=wandb.Settings(silent=True, console="off"),
        )

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def finish(self, outcome: Outcome | None) -> None:
        import wandb

        if outcome is not None:
            chart = wandb.plot.confusion_matrix(
                y_true=outcome.target.tolist(),
                preds=outcome.predicted.tolist(),
                class_names=list(outcome.classes),
            )
            self.run.log({"confusion": chart})
            self.run.summary.update(dict(outcome.summary))
        where = f"wandb sync {Path(self.run.dir).parent}" if self.run.offline else self.run.url
        self.run.finish(exit_code=0 if outcome is not None else 1)
        print(where)


def check_trackers(wanted: str) -> list[str]:
    """The trackers in `tensorboard wandb`; RequestError if one is unknown or its package is missing."""
    names = wanted.replace(",", " ").split()
    for name in names:
        if importlib.util.find_spec(TRACKERS[name].package) is None:
            raise RequestError(f"TRACKER={name} needs its package: pip install {TRACKERS[name].package}")
    return names


def follow(wanted: str, fold: Fold) -> list[Tracker]:
    """The trackers named, opened for a fold: `follow("tensorboard wandb", Fold(...))`."""
    if fold.folder.exists() and not fold.folder.is_dir():
        raise RequestError(f"TRACKER_DIR={fold.folder} is no folder: give the name of one")
    return [TRACKERS[name](fold) for name in check_trackers(wanted)]
