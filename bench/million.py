"""A million clips through the extraction with a feature that costs nothing: `python -m bench.million`.

Two claims. The parent neither builds a million tasks at once nor holds their results: its memory stays under
500 MB, the table of clips included. And handing out work costs under 5 % at 4 ms a clip: of the time that the
processes have, less than that passes outside of their clips.
"""

import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.stub import made_command, made_dataset, made_request
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import duration, size
from features_cache import Cache
from pipeline import extract
from pipeline.job import ExtractionResult, Job
from pipeline.plan import batch_lengths, cost, find_remaining, make_batches
from pipeline.pool import open_backend

MOST_MEMORY = 500e6  # bytes of the parent
MOST_OVERHEAD = 0.05  # of the processes' time
CLIP_MS = 4.0


@dataclass(frozen=True, kw_only=True)
class MillionOptions(Options):
    """How many clips."""

    clips: int = option(1000000, "rows of the table")
    timed: int = option(4000, "clips of 4 ms, for the overhead")
    rounds: int = option(3, "of the timed clips; the median counts")
    jobs: int = option(2, "processes")


def million(options: MillionOptions) -> int:
    """The dry run, then the overhead; 1 where a claim does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        overheads = [overhead(folder / str(one), options) for one in range(options.rounds)]
        before = peak()
        begun = time.perf_counter()
        outcome = fill(folder / "million", options.clips, "stub", options.jobs)
        seconds = time.perf_counter() - begun
        cache = Cache(folder / "million" / "made")
        done = int(cache["stub"].file.map(state=True).astype(bool).sum())
        memory = peak()
    lost = float(np.median(overheads))
    print(
        f"{done:,} of {options.clips:,} clips are done in {duration(seconds)}, {len(outcome.failures)} failed"
    )
    print(
        f"the parent's memory: {size(memory)} at its highest, {size(before)} of them before the table "
        f"(at most {size(MOST_MEMORY)})"
    )
    print(
        f"outside of clips of {CLIP_MS:g} ms: {lost:.1%} of {options.jobs} processes' time, median of "
        f"{options.rounds} times {options.timed:,} clips (at most {MOST_OVERHEAD:.0%})"
    )
    return int(done != options.clips or memory > MOST_MEMORY or lost > MOST_OVERHEAD)


def overhead(data: Path, options: MillionOptions) -> float:
    """The part of the processes' time, once they are warm, in which they had no clip."""
    command = made_command(data, f"stub@ms={CLIP_MS:g}", options.jobs)
    asked = made_request(made_dataset(data / "audio", options.timed), command)
    job = Job(tuple(asked.wanted.variants.values()), asked.dataset.sample_rate, asked.dataset.samples)
    with open_backend(command.backend, command.jobs, None) as backend:
        found = find_remaining(asked)
        expected = cost(asked, found, backend)  # also warms every process up
        begun = time.perf_counter()
        lengths = batch_lengths(len(found.clips), expected)
        told = list(backend(job, make_batches(asked, found.todo, found.clips, lengths)))
        available = (time.perf_counter() - begun) * options.jobs
    used = sum(one.seconds.sum() + one.seconds_around for one in told)
    return 1 - float(used) / available


def fill(data: Path, clips: int, features: str, jobs: int) -> ExtractionResult:
    """All clips of a made table."""
    command = made_command(data, features, jobs)
    return extract.extract(made_request(made_dataset(data / "audio", clips), command), command)


def peak() -> float:
    """Bytes that this process has held at most."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main([million])
