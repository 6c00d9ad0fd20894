"""What a run of `features` will do: what the cache has already, what remains, what that will cost."""

import itertools
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from commandline.registry import RequestError
from commandline.system import file_size_limit
from commandline.terminal import counted, duration, size, text_table
from features_cache.layout import FeatureSpec, fingerprints
from features_cache.names import LARGE, parse_channel
from features_cache.writer import stored_clips
from pipeline.job import ClipBatch, ExtractionResult, Job
from pipeline.options import ExtractOptions
from pipeline.pool import Backend, open_backend
from pipeline.request import Request, request

# Clips that the cost is measured with. A busy machine gives a process that has just begun more than its
# share, and where few are measured one slow moment decides.
MEASURED_CLIPS = 4  # a process at least
MEASURED_SHARE = 0.05  # of the clips, where that is more
MEASURED_SECONDS = 3.0  # after which no further clip is begun
BATCH_SECONDS = 0.05, 1.0  # the shortest and the longest
LONGEST_BATCH = 512  # clips
BATCHES_LEFT = 4  # for each process, when a batch is cut from what is left
RESERVE = 5e6  # bytes of a disk that are left free, for the index and what the file system itself needs


@dataclass(frozen=True)
class Remaining:
    """What the cache lacks of N clips and F features."""

    todo: NDArray[np.bool_]  # (N, F), False outside the part
    damaged: NDArray[np.int64]  # (F,) clips
    make: NDArray[np.bool_]  # (F,) files that have to be made
    notes: tuple[str, ...]  # why a file that is there cannot be used

    @property
    def clips(self) -> NDArray[np.intp]:
        """Rows of the clips that lack something."""
        return np.flatnonzero(self.todo.any(axis=1))


def find_remaining(asked: Request, *, check: bool = True) -> Remaining:
    """Match every wanted feature with its file; with `check` the CRC of done clips is compared as well."""

    def match(spec: FeatureSpec) -> tuple[NDArray[np.bool_], int, bool, str]:
        found = stored_clips(asked.folder, spec, asked.ids, asked.keys, asked.part if check else None)
        return ~found.done, int(found.damaged.sum()), not found.fits, found.note

    with ThreadPoolExecutor(min(8, cpu_count())) as threads:  # a CRC lets go of the interpreter
        found = list(threads.map(match, asked.specs))
    todo = np.zeros((len(asked.ids), len(found)), bool)
    for feature, (missing, *_) in enumerate(found):
        todo[asked.part, feature] = missing[asked.part]
    _, damaged, make, notes = zip(*found)
    return Remaining(
        todo, np.array(damaged), np.array(make), tuple(dict.fromkeys(note for note in notes if note))
    )


def make_batches(
    asked: Request, todo: NDArray[np.bool_], rows: NDArray[np.intp], lengths: Iterable[int]
) -> Iterator[ClipBatch]:
    """The clips at these rows, so many at a time, each batch made when it is asked for."""
    features = [spec.key for spec in asked.specs]
    columns = ("path", "alteration", "source_size", "source_time_ns")
    paths, alterations, sizes, times = (asked.clips[name].to_numpy() for name in columns)
    done = 0
    for length in lengths:
        chosen = rows[done : done + length]
        if not len(chosen):
            return
        done += length
        yield ClipBatch(
            rows=chosen,
            paths=paths[chosen].tolist(),
            alterations=alterations[chosen].tolist(),
            versions=list(zip(sizes[chosen].tolist(), times[chosen].tolist())),
            todo=todo[chosen],
            fingerprints=np.stack(
                [fingerprints(asked.keys[chosen], feature) for feature in features], axis=1
            ),
        )


@dataclass(frozen=True)
class Cost:
    """What a run will take. Seconds are those of one process."""

    clips: int
    seconds: NDArray[np.float64]  # (F,)
    seconds_around: float  # decoding, for all clips
    bytes: NDArray[np.int64]  # (F,) of files that have to be made
    measured: bool
    jobs: int
    seconds_before: float = 0.0  # of the wall clock, until this was known: starting processes, measuring

    @property
    def seconds_a_clip(self) -> float:
        """Of one process, 0 where nothing was measured."""
        return (self.seconds.sum() + self.seconds_around) / self.clips if self.clips else 0.0


def cost(asked: Request, found: Remaining, backend: Backend, begun: float | None = None) -> Cost:
    """Seconds from a few real clips, computed in the backend's processes and not kept; bytes exactly.

    What the processes were not busy with, handing out and waiting for a core, is spread over the features.
    What has passed since `begun` (time.perf_counter) is part of it: few clips take less than the start of
    the processes.
    """
    rows = found.clips
    counts = found.todo.sum(axis=0)
    sizes = np.array([len(asked.clips) * spec.clip_bytes for spec in asked.specs]) * found.make
    rehearsal = Job(tuple(asked.wanted.variants.values()), asked.dataset.sample_rate, asked.dataset.samples)
    least = MEASURED_CLIPS * backend.processes
    order = np.random.default_rng(0).permutation(rows)[: 1 + max(least, 2, round(MEASURED_SHARE * len(rows)))]
    all_lacking = np.broadcast_to(counts > 0, found.todo.shape)
    first, *others = make_batches(asked, all_lacking, order, itertools.repeat(1))
    for _ in backend(rehearsal, [first] * backend.processes):
        pass  # compiles and warms up
    started = time.perf_counter()
    taken = sum(backend(rehearsal, _while_short(others, least)), ExtractionResult())
    elapsed = (time.perf_counter() - started) * min(backend.processes, max(1, len(others)))
    busy = float(np.sum(taken.seconds) + taken.seconds_around)
    waiting = max(1.0, elapsed / busy) if busy else 1.0
    done = np.maximum(taken.computed, 1)
    return Cost(
        clips=len(rows),
        seconds=waiting * taken.seconds / done * counts,
        seconds_around=waiting * taken.seconds_around / max(taken.clips, 1) * len(rows),
        bytes=sizes,
        measured=bool(np.any(taken.computed)),
        jobs=backend.processes,
        seconds_before=0.0 if begun is None else time.perf_counter() - begun,
    )


def _while_short(batches: Sequence[ClipBatch], least: int) -> Iterator[ClipBatch]:
    """The first `least` batches, and further ones until MEASURED_SECONDS have passed."""
    end = time.perf_counter() + MEASURED_SECONDS
    yield from batches[:least]
    yield from itertools.takewhile(lambda _: time.perf_counter() < end, batches[least:])


def batch_lengths(clips: int, expected: Cost) -> Iterator[int]:
    """Clips of one batch after the other.

    Many at first, since handing out costs milliseconds; few at last, so that all processes end together.
    """
    shortest, longest = (seconds / max(expected.seconds_a_clip, 1e-6) for seconds in BATCH_SECONDS)
    while clips > 0:
        share = clips / (expected.jobs * BATCHES_LEFT)
        length = round(max(1, min(LONGEST_BATCH, longest, max(share, shortest))))
        yield length
        clips -= length


def describe_cost(asked: Request, found: Remaining, expected: Cost) -> str:
    """What the run will cost, and how to spend less."""
    names = [spec.stored for spec in asked.specs]
    large = np.array([parse_channel(name).name in LARGE for name in names])
    maps = len(names) * (asked.part.stop - asked.part.start)
    clips, features = counted(len(asked.clips), "clip"), counted(len(names), "feature")
    what = f"{asked.dataset.name}: {clips}, {features}; "
    lines = [f"{what}{int(found.todo.sum()):,} of {maps:,} feature maps to compute"]
    lines.append(f"  about {_spent(expected, slice(None))}")
    if expected.bytes.any():
        order = np.argsort(expected.bytes)[::-1][:3]
        largest = ", ".join(
            f"{names[one]} {size(expected.bytes[one])}" for one in order if expected.bytes[one]
        )
        lines[-1] += f"; largest files: {largest}"
    if large.any() and not large.all() and expected.bytes[large].any():
        lines.append(f"  FEATURES=small leaves out the largest: about {_spent(expected, ~large)}")
    return "\n".join(lines)


def _spent(expected: Cost, features: slice | NDArray[np.bool_]) -> str:
    jobs = expected.jobs
    seconds = expected.seconds_before + (expected.seconds[features].sum() + expected.seconds_around) / jobs
    shown = duration(seconds) if expected.measured else "an unknown time"
    return f"{shown} on {counted(jobs, 'process')}, {size(expected.bytes[features].sum())}"


def all_done(asked: Request, clips: int) -> str:
    """`esc10: mel of 400 clips is done`, `esc10: all 30 features of 400 clips are done`."""
    features = [spec.stored for spec in asked.specs]
    what = f"{features[0]} of" if len(features) == 1 else f"all {len(features)} features of"
    verb = "is" if len(features) == 1 else "are"
    return f"{asked.dataset.name}: {what} {counted(clips, 'clip')} {verb} done"


def refuse_full_disk(asked: Request, found: Remaining) -> None:
    """RequestError where the files that have to be made will not fit."""
    making = [spec for spec, make in zip(asked.specs, found.make) if make]
    sizes = [len(asked.clips) * spec.clip_bytes for spec in making]
    needed, largest = sum(sizes), max(sizes, default=0)
    place = next(path for path in (asked.folder, *asked.folder.absolute().parents) if path.exists())
    free, limit = shutil.disk_usage(place).free, file_size_limit()
    some_large = any(parse_channel(spec.stored).name in LARGE for spec in making)
    less = "FEATURES=small needs less" if some_large else "fewer FEATURES need less"
    if needed and needed + RESERVE > free:
        raise RequestError(
            f"the features need {size(needed + RESERVE)} in {asked.folder}, where {size(free)} are free; "
            f"{less}, DATA= names another disk"
        )
    if largest > limit:
        raise RequestError(
            f"the largest file needs {size(largest)}, this shell allows {size(limit)} a file (ulimit -f); "
            f"{less}"
        )


def run(options: ExtractOptions) -> int:
    """The command `plan`: seconds and megabytes by feature, what would be computed; nothing is written."""
    begun = time.perf_counter()
    asked = request(options)
    found = find_remaining(asked)
    left_out = [f"left out: {name}, {reason}" for name, reason in asked.wanted.left_out.items()]
    for line in (*asked.dataset.notes, *asked.changes, *found.notes, *left_out):
        print(line)
    if not found.todo.any():
        print(all_done(asked, len(asked.clips)))
        return 0
    with open_backend("processes", options.jobs, None) as backend:
        expected = cost(asked, found, backend, begun)
    rows = [
        (
            spec.stored,
            int(found.todo[:, feature].sum()),
            f"{expected.seconds[feature] / expected.jobs:.1f}",
            f"{len(asked.clips) * spec.clip_bytes / 1e6:.1f}",
        )
        for feature, spec in enumerate(asked.specs)
    ]
    print(text_table(rows, ("feature", "to compute", "seconds", "megabytes")))
    print(describe_cost(asked, found, expected))
    return 0
