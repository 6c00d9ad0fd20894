"""Time and memory of many events: `python -m bench.event_size`.

Each row is a process of its own: an hour with labels for all of it, days with many
short events, many recordings. Tables are read, recordings cut into pieces, frames
labelled, rules chosen and detections scored. The answers are the targets with errors,
so that no network takes part. Time is the processor's. If time is linear, rows of
SIZES that double have twice the seconds.
"""

import json
import resource
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.rooms.events.dataset import cut_blocks, cut_pieces, label_pieces
from featurestack.rooms.events.frames import Frames, are_exclusive
from featurestack.rooms.events.scores import ALL
from featurestack.rooms.events.tested import ScoredFrames

HOP = 0.016  # seconds
ERRORS = 0.01  # share of the frames whose answer is wrong
GIGABYTE = 1e6  # kB


class Size(NamedTuple):
    """Recordings of one length and their events."""

    recordings: int
    hours: float  # length of each
    events: int  # short ones, of all recordings
    labels: int  # number of labels
    whole: int = 0  # further labels, each for all of a recording


SIZES = {
    "an hour, 20 labels for all of it": Size(1, 1.0, 100, 1, whole=20),
    "a day, 50,000 events": Size(1, 24.0, 50_000, 5),
    "a day, 100,000 events": Size(1, 24.0, 100_000, 5),
    "500 recordings of a minute": Size(500, 1 / 60, 5_000, 5),
    "1,000 recordings of a minute": Size(1000, 1 / 60, 10_000, 5),
}


class SizeOptions(Options):
    """Sizes to measure."""

    only: str = option("", "name of one size, measured in this process")


def made_events(size: Size) -> tuple[dict[str, float], pd.DataFrame]:
    """Seconds of the recordings, and events like those that tables hold."""
    rng = np.random.default_rng(0)
    lasts = 3600 * size.hours
    names = [f"/r/{number:04}.wav" for number in range(size.recordings)]
    start = rng.uniform(0, lasts - 1, size.events)
    short = pd.DataFrame(
        {
            "file": rng.choice(names, size.events),
            "start": start,
            "end": start + rng.uniform(0.1, 0.5, size.events),
            "label": rng.choice([f"s{k}" for k in range(size.labels)], size.events),
        }
    )
    whole = [(name, 0.0, lasts, f"w{k}") for k in range(size.whole) for name in names]
    long = pd.DataFrame(whole, columns=["file", "start", "end", "label"])
    events = pd.concat([short, long]).sort_values(["file", "start"], ignore_index=True)
    return dict.fromkeys(names, lasts), events


def measure(size: Size) -> dict[str, float]:
    """Processor seconds of each step, gigabytes at most, and F1."""
    seconds, events = made_events(size)
    steps = {}
    begun = time.process_time()

    def finished(step: str) -> None:
        nonlocal begun
        now = time.process_time()
        steps[step] = now - begun
        begun = now

    stretches = cut_blocks(seconds, 120.0)
    pieces = cut_pieces(stretches, 10.0)
    label_pieces(pieces, events)
    are_exclusive(events)
    finished("pieces")
    counts = ((stretches["end"] - stretches["start"]) / HOP).astype(int)
    stretches = stretches.assign(fold=np.arange(len(stretches)) % 5, frames=counts)
    times = [
        row.start + HOP * (np.arange(row.frames) + 0.5)
        for row in stretches.itertuples()
    ]
    names = tuple(sorted({*events["label"]}))
    frames = Frames(stretches, np.concatenate(times), HOP, names)
    targets = frames.targets(events)
    finished("targets")
    rng = np.random.default_rng(1)
    wrong = rng.random(targets.shape, np.float32) < ERRORS
    scored = ScoredFrames(frames, (targets ^ wrong).astype(np.float32), events)
    f1 = scored.scores().loc[ALL, "f1"]
    finished("rules and scores")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIGABYTE
    return {**steps, "gigabytes": largest, "F1": float(f1)}


def event_size(options: SizeOptions) -> int:
    """Print a row for each size."""
    if options.only:
        print(json.dumps(measure(SIZES[options.only])))
        return 0
    rows = []
    for name in SIZES:
        command = [sys.executable, "-m", "bench.event_size", f"ONLY={name}"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(printed.stdout)
        rows.append([name, *(f"{value:.2f}" for value in row.values())])
    print(text_table(rows, ["", *row]))
    return 0


if __name__ == "__main__":
    main([event_size])
