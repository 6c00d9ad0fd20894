"""What is seen of a run while it trains: a bar, an estimate of the whole run's time, trackers."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from commandline.options import make_command, words
from commandline.terminal import duration, progress
from results.run_folder import RunFolder
from train.options import RunOptions
from train.plan import Plan

if TYPE_CHECKING:
    from train.trackers import Outcome, Tracker

FIRST_STEPS = 20  # before the estimate; the earlier half warms up caches and is not counted
LONG = 30 * 60  # seconds; for a run that takes longer a smaller one is proposed


@dataclass
class Estimate:
    """Prints once, after FIRST_STEPS steps of a run, how long all of it will take; silent in a sweep."""

    steps: int  # of the whole run, from here
    scoring: float  # what scoring costs, in training steps
    options: RunOptions
    folds: Sequence[int]
    silent: bool = False
    taken: int = 0
    started: float = 0.0

    def step(self) -> None:
        self.taken += 1
        if self.taken == FIRST_STEPS // 2:
            self.started = time.perf_counter()
        if self.taken == FIRST_STEPS < self.steps and not self.silent:
            each = (time.perf_counter() - self.started) / (FIRST_STEPS - FIRST_STEPS // 2)
            self._print((self.steps + self.scoring) * each, each)

    def _print(self, seconds: float, each: float) -> None:
        folds = f"{len(self.folds)} folds" if len(self.folds) > 1 else "one fold"
        text = f"about {duration(seconds)} for {folds} ({each:.2g} s a step)"
        if seconds > LONG:
            text += f"; a smaller run: {smaller_run(self.options, self.folds, seconds)}"
        tqdm.write(text, file=sys.stderr)


@dataclass
class FoldProgress:
    """The bar and the trackers of one fold; a log that is no terminal gets a line a minute."""

    label: str
    clips: int  # to train on, all epochs together
    done: int  # of them, where the fold is continued
    estimate: Estimate
    trackers: "list[Tracker]" = field(default_factory=list)
    silent: bool = False  # in all processes of a run but the first

    def __post_init__(self) -> None:
        self.bar = progress(
            total=self.clips, label=self.label, unit="clips", done=self.done, silent=self.silent
        )

    def step(self, clips: int) -> None:
        self.estimate.step()
        self.bar.update(clips)

    def epoch(self, row: Mapping[str, float]) -> None:
        """`row` is that of history.csv, without what is empty there."""
        names = ("epoch", "train_loss", "val_loss", "test_accuracy")
        self.bar.set_postfix({name: row[name] for name in names if name in row}, refresh=False)
        for tracker in self.trackers:
            tracker.epoch(int(row["epoch"]), row)

    def close(self, outcome: "Outcome | None") -> None:
        """The fold has ended, or stopped before its end (None)."""
        self.bar.close()
        for tracker in self.trackers:
            tracker.finish(outcome)


def open_trackers(plan: Plan, fold: int, epochs_done: int) -> "list[Tracker]":
    """The trackers that TRACKER names, for one fold."""
    options = plan.options
    if not options.tracker:
        return []
    from train import trackers

    folder = Path(options.tracker_dir) if options.tracker_dir else plan.path / "trackers"
    config: Mapping[str, Any] = RunFolder(plan.path).config
    return trackers.follow(options.tracker, trackers.Fold(config, plan.path.name, fold, epochs_done, folder))


def smaller_run(options: RunOptions, folds: Sequence[int], seconds: float) -> str:
    """The command for one fold where that is short enough, else for as many epochs as take half an hour."""
    one_fold = seconds / len(folds)
    epochs = options.epochs if one_fold <= LONG else max(1, int(options.epochs * LONG / one_fold))
    return make_command("train", *words(replace(options, folds=(folds[0],), epochs=epochs)))
