"""How long a run will take, told once after its first steps."""

import math
import time
from typing import TYPE_CHECKING

import torch

from featurestack.commandline.terminal import tell

if TYPE_CHECKING:
    from tqdm import tqdm

TIMED_STEPS = 5  # after the first one, which also loads and compiles
LEAST_SECONDS = 60  # shorter runs tell nothing


class Estimate:
    """The clock of a run of some folds, whose bar counts the clips of all steps."""

    def __init__(self, bar: "tqdm[None]", folds: int, quicker: str = "") -> None:
        """`quicker` is the option to take instead, if there is one."""
        self.bar, self.folds, self.quicker = bar, folds, quicker
        self.steps = 0

    def step(self, loss: torch.Tensor) -> None:
        """Count a step that has just been queued."""
        self.steps += 1
        if self.steps == 1:
            loss.item()  # waits for a GPU
            self.start, self.clips = time.perf_counter(), self.bar.n
        elif self.steps == 1 + TIMED_STEPS and self.bar.n > self.clips:
            loss.item()
            each = (time.perf_counter() - self.start) / (self.bar.n - self.clips)
            line = self.line(each * (self.bar.total - self.bar.n))
            if line:
                tell(line)

    def line(self, seconds: float) -> str:
        """The sentence about this time; '' if it is short."""
        if seconds < LEAST_SECONDS:
            return ""
        minutes = math.ceil(seconds / 60)
        text = f"about {minutes} min"
        if self.folds > 1:
            text = (
                f"about {math.ceil(minutes / self.folds)} min a fold, {minutes} in all"
            )
        return f"{text}; {self.quicker}" if self.quicker else text
