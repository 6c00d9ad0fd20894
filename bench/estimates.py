"""What `features` estimates that it will take, and what it took, on a quiet and on a busy machine.

    python -m bench.estimates DATASET=esc10 COUNT=200 BUSY="0 2" ROUNDS=3

Each round extracts so many clips into an empty folder while so many processes count without end, and
compares the estimate with the time that the summary states: both count from the beginning of the command,
so that the start of the processes is in both. The load shows other work on the machine.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from commandline.commands import main
from commandline.options import DataOptions, option
from commandline.registry import RequestError
from commandline.terminal import text_table
from pipeline import datasets
from pipeline.options import SourceOptions

SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0}


@dataclass(frozen=True, kw_only=True)
class EstimateOptions(DataOptions):
    """How much is extracted, beside how much other work."""

    dataset: str = option("esc10", "a dataset, as everywhere")
    count: int = option(200, "clips, spread over the dataset")
    features: str = option("all", "feature sets separated by blanks; all, small")
    busy: tuple[int, ...] = option((0, 2), "numbers of processes that count beside it")
    rounds: int = option(3, "extractions for each; they take turns")


def estimates(options: EstimateOptions) -> int:
    """A line a number of busy processes: medians of the estimate and of the time, and all ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        table = datasets.load(SourceOptions(dataset=options.dataset, data=options.data)).table
        chosen = table.iloc[np.linspace(0, len(table) - 1, options.count).astype(int)]
        file = Path(scratch) / "chosen.csv"
        columns = {"path": "filename", "label": "label", "fold": "fold", "group": "group"}
        chosen[list(columns)].rename(columns=columns).to_csv(file, index=False)
        rounds = [
            (busy, *_round(file, Path(scratch) / f"data-{turn}-{busy}", options.features, busy))
            for turn in range(options.rounds)
            for busy in options.busy
        ]
    rows = []
    for busy in options.busy:
        estimate, took, load = (
            np.array(column) for column in list(zip(*(r for r in rounds if r[0] == busy)))[1:]
        )
        ratios = ", ".join(f"{ratio:.2f}" for ratio in sorted(took / estimate))
        medians = (f"{np.median(column):.0f} s" for column in (estimate, took))
        rows.append((busy, f"{np.median(load):.1f}", *medians, ratios))
    print(text_table(rows, ("busy processes", "load", "estimate", "took", "took / estimate")))
    return 0


def _round(file: Path, data: Path, features: str, busy: int) -> tuple[float, float, float]:
    """Seconds estimated, seconds taken, and the load of the last minute at the end."""
    command = [sys.executable, "-m", "pipeline", "features", "--dataset", str(file), "--data", str(data)]
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    estimate = took = None
    try:
        with subprocess.Popen(
            [*command, "--features", *features.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as extraction:
            for line in extraction.stdout or ():
                if found := re.search(r"about (.+?) on \d", line):
                    estimate = estimate or found[1]
                if found := re.search(r"clips in (.+?): ", line):
                    took = found[1]
    finally:
        for other in others:
            other.kill()
            other.wait()
    if extraction.returncode or estimate is None or took is None:
        raise RequestError(f"{' '.join(command)} failed with status {extraction.returncode}")
    return _seconds(estimate), _seconds(took), os.getloadavg()[0]


def _seconds(text: str) -> float:
    """`2 min 05 s` -> 125.0"""
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)\b", text))


if __name__ == "__main__":
    main([estimates])
