"""What known datasets would cost, on paper: `python -m bench.paper`; docs/howto/scale.md shows the table.

Milliseconds of every feature a second of sound, all in one pass on one core, are medians over clips of two
durations, taken as proportional; bytes follow from the shapes. Counts and durations are what the authors
publish.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import duration, size, text_table
from features_cache.names import LARGE
from pipeline.datasets import Dataset
from pipeline.job import ClipBatch, Job, version
from pipeline.pool import keep_freed_arrays
from pipeline.request import Wanted, wanted

SAMPLE_RATE = 44100
DURATIONS = 5.0, 10.0
SETS = {  # clips, seconds of a clip as stored
    "ESC-50": (2_000, 5.0),
    "UrbanSound8K": (8_732, 4.0),
    "FSD50K": (51_197, 10.0),
    "AudioSet": (2_084_320, 10.0),
}


@dataclass(frozen=True, kw_only=True)
class PaperOptions(Options):
    """How the slopes are measured."""

    rounds: int = option(25, "clips of each duration; the median counts")
    features: str = option("all", "feature sets separated by blanks; all, small")


def paper(options: PaperOptions) -> None:
    """A line a feature, a column a dataset: hours of one core and size."""
    keep_freed_arrays()  # as every worker does
    asked = wanted(options.features, _dataset(DURATIONS[0]))
    with tempfile.TemporaryDirectory() as scratch:
        found = [milliseconds(Path(scratch), asked, one, options.rounds) / one for one in DURATIONS]
    slope = np.mean(found, axis=0)  # ms a second of sound
    names = [*asked.variants, "decoding"]
    small = np.array([name.partition("@")[0] not in LARGE for name in names])
    columns = {}
    for dataset, (clips, seconds) in SETS.items():
        columns[dataset] = clips * seconds * slope / 1000, clips * clip_bytes(asked, seconds)
    rows = [
        (name, f"{ms:.2f}", *(_cell(spent[one], stored[one]) for spent, stored in columns.values()))
        for one, (name, ms) in enumerate(zip(names, slope, strict=True))
    ]
    for name, chosen in {"small": small, "all": np.ones(len(names), bool)}.items():
        sums = (_cell(spent[chosen].sum(), stored[chosen].sum()) for spent, stored in columns.values())
        rows.append((name, f"{slope[chosen].sum():.2f}", *sums))
    heads = (f"{name}, {clips:,} x {seconds:g} s" for name, (clips, seconds) in SETS.items())
    print(text_table(rows, ("feature", "ms a second", *heads)))


def _cell(seconds: float, stored: float) -> str:
    return f"{duration(float(seconds))}, {size(float(stored))}"


def _dataset(seconds: float) -> Dataset:
    import pandas as pd

    return Dataset("paper", pd.DataFrame(), SAMPLE_RATE, seconds, source="made up", synthetic=True)


def milliseconds(folder: Path, asked: Wanted, seconds: float, rounds: int) -> np.ndarray:
    """(F + 1,) of what each feature adds to the ones before it; decoding comes last."""
    samples = round(seconds * SAMPLE_RATE)
    job = Job(tuple(asked.variants.values()), SAMPLE_RATE, samples)
    rng, told = np.random.default_rng(0), []
    for number in range(rounds + 1):
        path = folder / f"{number}.wav"
        soundfile.write(path, rng.normal(0, 0.1, samples).cumsum() / 100, SAMPLE_RATE)
        done = job(_one(path, len(job.variants)))
        told.append([*done.seconds, done.seconds_around])
    return 1000 * np.median(told[1:], axis=0)  # the first compiles


def _one(path: Path, features: int) -> ClipBatch:
    table = np.ones((1, features), bool)
    return ClipBatch(np.arange(1), [str(path)], [""], [version(path)], table, table.astype(np.uint64))


def clip_bytes(asked: Wanted, seconds: float) -> np.ndarray:
    """(F + 1,) of a clip as stored in float16, decoding 0."""
    shapes = [one.shape(SAMPLE_RATE, round(seconds * SAMPLE_RATE)) for one in asked.variants.values()]
    return np.array([2 * rows * frames for rows, frames in shapes] + [0])


if __name__ == "__main__":
    main([paper])
