"""What is seen of a run while it trains: a bar, an estimate of the whole run's time, trackers."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tqdm import tqdm

from commandline import duration, make_command, progress, words
from train.options import RunOptions
from train.trackers import Outcome, Tracker

FIRST_STEPS = 20  # before the estimate; the earlier half warms up caches and is not counted
LONG = 30 * 60  # seconds; a run that takes longer is told how to be shorter


@dataclass
class Forecast:
    """Says once, after FIRST_STEPS steps of a run, how long all of it will take."""

    steps: int  # of the whole run, from here
    scored: float  # steps that scoring costs, in training steps
    folds: int
    shorter: Callable[[float], str]  # the command to propose for a run of so many seconds
    taken: int = 0
    started: float = 0.0

    def step(self) -> None:
        self.taken += 1
        if self.taken == FIRST_STEPS // 2:
            self.started = time.perf_counter()
        if self.taken == FIRST_STEPS < self.steps:
            each = (time.perf_counter() - self.started) / (FIRST_STEPS - FIRST_STEPS // 2)
            self._tell((self.steps + self.scored) * each, each)

    def _tell(self, seconds: float, each: float) -> None:
        folds = f"{self.folds} folds" if self.folds > 1 else "one fold"
        text = f"about {duration(seconds)} for {folds} ({each:.2g} s a step)"
        if seconds > LONG:
            text += f"; a smaller run: {self.shorter(seconds)}"
        tqdm.write(text, file=sys.stderr)


@dataclass
class Follower:
    """Follows one fold."""

    label: str
    clips: int  # to train on, all epochs together
    done: int  # of them, where the fold is continued
    forecast: Forecast
    trackers: list[Tracker] = field(default_factory=list)

    def __post_init__(self) -> None:
        # a log that is no terminal gets its one line when the fold ends
        self.bar = progress(total=self.clips, label=self.label, unit="clips") if sys.stderr.isatty() else None
        if self.bar is not None:
            self.bar.update(self.done)

    def step(self, clips: int) -> None:
        self.forecast.step()
        if self.bar is not None:
            self.bar.update(clips)

    def epoch(self, row: Mapping[str, float]) -> None:
        if self.bar is not None:
            shown = {
                name: row[name]
                for name in ("epoch", "train_loss", "val_loss", "test_accuracy")
                if name in row
            }
            self.bar.set_postfix(shown)
        for tracker in self.trackers:
            tracker.epoch(int(row["epoch"]), row)

    def close(self, outcome: Outcome | None) -> None:
        """The fold has ended, or stopped early (None)."""
        if self.bar is not None:
            self.bar.close()
        for tracker in self.trackers:
            tracker.finish(outcome)


def shorter(options: RunOptions, folds: Sequence[int], seconds: float) -> str:
    """The command for less: one fold where that is short enough, else as many epochs as take half an hour."""
    one_fold = seconds / len(folds)
    epochs = options.epochs if one_fold <= LONG else max(1, int(options.epochs * LONG / one_fold))
    return make_command("train", *words(replace(options, folds=(folds[0],), epochs=epochs)))
