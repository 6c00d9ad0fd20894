"""The learning rate as a function of the step, and what a plateau does to it.

All but the plateau are functions of the step alone, so that continuing needs no memory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from commandline import RequestError
from train.options import RunOptions

Factor = Callable[[float], float]  # share of the course, 0 to 1 -> share of LR

RISE = 0.3  # of one-cycle's course, with its start and end: PyTorch's defaults, after Smith and Topin 2018
START, END = 1 / 25, 1 / 250_000
MILESTONES = (0.5, 0.75)  # step: a tenth from here on, as ResNet's own schedule for CIFAR
LOWER = 0.1


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


def onecycle(share: float) -> float:
    if share < RISE:
        return _cosine(START, 1, share / RISE)
    return _cosine(1, END, (share - RISE) / (1 - RISE))


def cosine(share: float) -> float:
    return _cosine(1, 0, share)


def step(share: float) -> float:
    return LOWER ** sum(share >= milestone for milestone in MILESTONES)


def constant(share: float) -> float:
    return 1.0


SCHEDULES: dict[str, Factor] = {
    "onecycle": onecycle,
    "cosine": cosine,
    "step": step,
    "plateau": constant,
    "constant": constant,
}


@dataclass(frozen=True)
class Schedule:
    """The rate at each step of a whole course; `lowered` counts the plateaus that were met."""

    name: str
    peak: float
    steps: int
    warmup_steps: int

    def rate(self, step: int, lowered: int = 0) -> float:
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(1, self.steps - 1 - self.warmup_steps)
        return self.peak * SCHEDULES[self.name](share) * LOWER**lowered


@dataclass
class Watch:
    """Follows one validation score: which epoch was best, when the rate falls, when training ends."""

    select: str
    patience: int
    lowers: bool
    best: float = math.nan
    best_epoch: int = 0
    since: int = 0  # epochs without a better score
    lowered: int = 0

    def see(self, epoch: int, score: float) -> bool:
        """Whether this epoch is the best so far; the earlier of equals stands."""
        better = score < self.best if self.select == "val_loss" else score > self.best
        if math.isnan(self.best) or better:
            self.best, self.best_epoch, self.since = score, epoch, 0
            return True
        self.since += 1
        if self.lowers and self.since % self.wait == 0:
            self.lowered += 1
        return False

    @property
    def wait(self) -> int:
        """Epochs without a better score before a plateau lowers the rate."""
        return max(1, (self.patience or DEFAULT_PATIENCE) // 3)

    @property
    def exhausted(self) -> bool:
        return 0 < self.patience <= self.since

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "best_epoch", "since", "lowered")}

    def restore(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


DEFAULT_PATIENCE = 15  # of a plateau schedule without PATIENCE: the rate falls after 5 epochs without a gain


def check(options: RunOptions) -> None:
    """RequestError where the options want validation scores and VAL gives none, or numbers make no sense."""
    if options.val == "none" and options.schedule == "plateau":
        raise RequestError("SCHEDULE=plateau follows a validation score: give VAL=group or VAL=next")
    if options.val == "none" and options.patience:
        raise RequestError(
            f"PATIENCE={options.patience} follows a validation score: give VAL=group or VAL=next"
        )
    if options.val == "none" and options.blind:
        raise RequestError(
            "BLIND=1 leaves the test fold alone, so that nothing is scored: give VAL=group or VAL=next"
        )
    if options.schedule == "onecycle" and options.warmup:
        raise RequestError(
            f"WARMUP={options.warmup}: onecycle has a rise of its own; give WARMUP=0 or SCHEDULE=cosine"
        )
