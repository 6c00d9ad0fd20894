"""The steps behind each file of docs/tables/: `python -m docs.tables SOUNDS OUT NAME`.

A maker returns the rows, the command that a reader types, and its processor seconds,
or None if the rows have them.
"""

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from docs import esc50, speed_figure
from featurestack.commandline.registry import Registry

Made = tuple[pd.DataFrame, str, float | None]


@dataclass(frozen=True)
class Folders:
    """Where datasets are, and where caches, runs and reports go."""

    sounds: Path
    out: Path

    def dataset(self, name: str) -> str:
        """The dataset as DATASET=: its folder in `sounds`, or its known name."""
        folder = self.sounds / name
        return f"DATASET={folder if folder.is_dir() else name}"

    def run(self, stage: str, *words: str) -> float:
        """Run a command, and return its processor seconds."""
        folders = [f"{name.upper()}={self.out / name}" for name in ("data", "runs")]
        if stage == "analysis":
            folders.append(f"REPORTS={self.out / 'reports'}")
        module, *command = stage.split()
        before = processor_seconds()
        subprocess.run(
            [
                sys.executable,
                "-m",
                f"featurestack.{module}",
                *command,
                *words,
                *folders,
            ],
            check=True,
        )
        return processor_seconds() - before

    def report(self, name: str) -> Path:
        """The folder of a dataset's report."""
        return self.out / "reports" / name / "tables"


def processor_seconds() -> float:
    """Processor seconds of the commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


MAKERS: Registry[Callable[[Folders], Made]] = Registry("table")


@MAKERS.register()
def speed(folders: Folders) -> Made:
    """Extraction against librosa and audioFlux."""
    from bench.features import compare

    before = time_here()
    word = folders.dataset("esc10").removeprefix("DATASET=")
    rows, _ = compare(word, folders.out / "data", "", clips=20, features="all")
    return rows, "python -m bench.features DATASET=esc10", time_here() - before


def time_here() -> float:
    """Processor seconds of this process and of ended ones."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + processor_seconds()


def draw() -> None:
    """Draw the figures that the files decide."""
    speed_figure.FIGURE.write_text(speed_figure.drawn(), encoding="utf-8")
