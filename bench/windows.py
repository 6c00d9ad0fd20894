"""Windows of one long recording against files of the same length, and events beside
long ones: `python -m bench.windows`.

Windows and files are decoded and resampled as by `features`, a batch of each in turns,
so that a busy machine slows both. The exit status is 1 if windows take more than 1.3
times as long. The growth of memory is printed: it should not depend on the
length of the recording.

Then the windows of a day with 100,000 short events get their labels, without and with
ten events of an hour among them: time and memory follow the pairs that overlap, so
every window that an hour covers costs one pair more, whatever the short events do. The
exit status is 1 if the long events take more than twice the time.
"""

import resource
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from bench.turns import ratio, take_turns
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.windows import window_grid
from featurestack.results.windows import label_windows

RATE, WANTED = 44_100, 22_050  # Hz, of the recording and of the features
BATCH = 32  # windows of a worker's batch
MOST = 1.3
DAY, HOUR = 86_400, 3_600  # seconds
EVENTS, LONG = 100_000, 10
MOST_LONG = 2.0
TURNS = 5


class WindowsOptions(Options):
    """Amount of audio."""

    windows: int = option(2400, "windows of two seconds, one every 1.5 seconds")


def write(path: Path, blocks: int, seed: int) -> None:
    """Write blocks of two seconds of noise and a tone."""
    rng = np.random.default_rng(seed)
    time = np.arange(2 * RATE) / RATE
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(blocks):
            file.write(
                0.2 * np.sin(time * rng.uniform(1e3, 2e4))
                + 0.02 * rng.standard_normal(len(time))
            )


def compare(folder: Path, kind: str, windows: int) -> tuple[list[str], bool]:
    """A row of the table for one file format, and whether the ratio is at most MOST."""
    recording = folder / f"recording.{kind}"
    write(recording, round(0.75 * (windows + BATCH)) + 1, 0)
    clips = [folder / f"{number}.{kind}" for number in range(BATCH)]
    for number, clip in enumerate(clips):
        write(clip, 1, number)
    batches = [range(first, first + BATCH) for first in range(0, windows, BATCH)]

    def of_recording(batch: range) -> None:
        for number in batch:
            audio.load_clip(
                recording, WANTED, 2 * WANTED, (1.5 * number, 1.5 * number + 2)
            )

    def of_files(batch: range) -> None:
        for number in batch:
            audio.load_clip(clips[number % BATCH], WANTED, 2 * WANTED)

    audio.load_clip(clips[0], WANTED, WANTED)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ways = {
        "window": map(of_recording, batches).__next__,
        "file": map(of_files, batches).__next__,
    }
    seconds = take_turns(ways, len(batches) - 1)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1000
    each = [
        f"{1000 * statistics.median(taken) / BATCH:.2f}" for taken in seconds.values()
    ]
    longer = ratio(seconds, "window", "file")
    return [kind, *each, f"{longer:.2f}", f"{grown:.0f}"], longer <= MOST


def day_events(long: int) -> pd.DataFrame:
    """EVENTS events of 0.1 s in a day, and `long` events of an hour."""
    rng = np.random.default_rng(0)
    start = np.append(rng.uniform(0, DAY - 1, EVENTS), np.arange(long) * 2 * HOUR)
    lasts = np.repeat([0.1, HOUR], [EVENTS, long])
    label = [*rng.choice(["a", "b"], EVENTS), *["rain"] * long]
    return pd.DataFrame(
        {"file": "day.wav", "start": start, "end": start + lasts, "label": label}
    )


def compare_long_events() -> tuple[str, bool]:
    """A line on events of an hour among short ones, and whether the ratio is at most
    MOST_LONG.
    """
    grid = window_grid({"day.wav": DAY}, 0.5, 0.25)
    short, long = day_events(0), day_events(LONG)
    label_windows(grid, short)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ways = {
        "long": lambda: label_windows(grid, long),
        "short": lambda: label_windows(grid, short),
    }
    seconds = take_turns(ways, TURNS)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1000
    longer = ratio(seconds, "long", "short")
    line = (
        f"labels of {len(grid):,} windows, {EVENTS:,} events:"
        f" {statistics.median(seconds['short']):.1f} s; {LONG} events of an hour more:"
        f" {statistics.median(seconds['long']):.1f} s, {longer:.2f} times,"
        f" {grown:.0f} MB more memory"
    )
    return line, longer <= MOST_LONG


def run(options: WindowsOptions) -> int:
    """Windows of one long recording against files of their own, and long events."""
    with tempfile.TemporaryDirectory() as folder:
        rows, good = zip(
            *(
                compare(Path(folder), kind, options.windows)
                for kind in ("flac", "ogg", "mp3")
            )
        )
    print(text_table(rows, ["", "ms a window", "ms a file", "ratio", "MB more memory"]))
    line, few = compare_long_events()
    print(line)
    return 0 if all(good) and few else 1


if __name__ == "__main__":
    main([run])
