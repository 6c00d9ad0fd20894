"""Compute batches of clips and write their features to the cache, in this process, in
worker processes, or on a cluster (cluster.py); joblib dispatches the batches.

Worker processes end with their parent and leave nothing behind, unlike those of joblib
(loky) after a SIGKILL: a worker is a process and a pipe, which closes when the parent
dies. joblib's threads send batches to the workers. These are forked from a fork server
that has loaded the kernels; they write clips into the cache and return a few numbers.
"""

import multiprocessing
import os
import queue
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

import cloudpickle
import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from featurestack.base import HOME, files
from featurestack.base.errors import Failed, RequestError, reason_of
from featurestack.base.terminal import tell_warnings
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import CachedFeature, state_word
from featurestack.features_cache.index_file import WHOLE
from featurestack.features_cache.reservations import Reservation
from featurestack.features_cache.writer import Clips, write_batch
from featurestack.pipeline import audio, kernels
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FeatureDefinition


class ClipTask(NamedTuple):
    """A clip and the features that it still lacks."""

    row: int  # the clip's row in the table
    clip_id: str
    path: str
    span: audio.Span
    # size and time of the file when the clip's fingerprint was made
    version: tuple[int, int]
    fingerprints: dict[int, int]  # number of a feature that it lacks -> fingerprint


ClipTasks = list[ClipTask]


@dataclass
class ExtractionResult:
    """The outcome for some clips; results are added with +."""

    clips: int = 0
    # row, feature or WHOLE, reason
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    computed: Counter[str] = field(default_factory=Counter)  # feature -> clips
    # file and the decoder's first error, if damaged parts were skipped
    damaged: list[tuple[str, str]] = field(default_factory=list)

    def __add__(self, other: "ExtractionResult") -> "ExtractionResult":
        names = [part.name for part in fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return ExtractionResult(**sums)


@dataclass(frozen=True)
class Job:
    """One run's work: computes and writes the features of a batch."""

    features: tuple[FeatureDefinition, ...]
    # of the features, in the same order, all of one rate and number of samples
    files: Sequence[CachedFeature]
    cache: Cache | None  # if features are computed from stored maps
    reservation: Reservation  # of the run

    def __call__(self, batch: ClipTasks) -> ExtractionResult:
        result = ExtractionResult(len(batch))
        rows = ((task.row, self.compute(task, result)) for task in batch)
        write_batch(self.files, self.reservation, rows)
        return result

    def clip_of(self, task: ClipTask, result: ExtractionResult) -> Clip:
        """The clip or AudioError; without samples if all maps to read are cached."""
        file = self.files[0]
        silence = np.zeros(file.samples, np.float32)
        clip = Clip.decoded(silence, file.sample_rate)
        sources = {self.features[place].source for place in task.fingerprints}
        for name in sources:
            with suppress(RequestError):  # then the map is computed from audio
                if name and self.cache:
                    stored = self.cache[name]
                    (values,) = self.cache.read(name, [task.clip_id])
                    about = stored.units, stored.frame_axis, stored.frame_unit
                    clip.keep_map(name, values, *about)
        if sources <= clip.maps.keys():
            return clip
        with audio.damaged_frames() as damaged:
            rate, samples = file.sample_rate, file.samples
            clip.y = audio.load_clip(task.path, rate, samples, task.span)
        if files.version_of(task.path)[:2] != task.version:
            raise audio.AudioError(
                "the file has changed since the cache noted it; run features for that"
                " cache again"
            )
        result.damaged += damaged.items()
        return clip

    def compute(self, task: ClipTask, result: ExtractionResult) -> Clips:
        """Compute the features that a clip lacks; failures go to `result`."""
        try:
            clip = self.clip_of(task, result)
        except audio.AudioError as reason:
            result.failures.append((task.row, WHOLE, str(reason)))
            return []
        done = []
        for place, fingerprint in task.fingerprints.items():
            feature, dtype = self.features[place], self.files[place].dtype
            name = feature.stored
            try:
                stored = feature.stored_values(clip, dtype)
            except KeyboardInterrupt:
                raise
            except BaseException as reason:  # only this one is lost
                result.failures.append((task.row, name, reason_of(reason)))
                continue
            done.append((place, stored, state_word(fingerprint, stored)))
            result.computed[name] += 1
        return done


# bytes of the largest freed array that is kept: glibc's maximum
LARGEST_KEPT = 32 << 20
KEPT = 256 << 20  # bytes of all freed arrays that are kept
MOST_FAILED_STARTS = 4  # in a row; so many may be due to a passing shortage of memory
# forking this process would copy locks of its threads and of the run
START_METHOD = "forkserver"
PRELOADED = [
    "featurestack.pipeline.worker",
    *(f"featurestack.pipeline.kernels.{name}" for name in kernels.MODULES),
]
STARTING = threading.Lock()  # a start changes `__main__` for a moment
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA")
}


def keep_freed_arrays() -> None:
    """Keep freed arrays for the next clip: new ones took a fifth of the time."""
    files.set_malloc(files.MMAP_THRESHOLD, LARGEST_KEPT)
    files.set_malloc(files.TRIM_THRESHOLD, KEPT)


class WorkerDied(Exception):
    """A worker ended during its work: it was killed, ran out of memory, or crashed."""


class Backend:
    """Computes batches in this process; subclasses use other processes."""

    processes = 1
    in_flight = 1  # batches that are sent and not yet answered, at most
    attempts = 1  # attempts at a batch, if its worker dies

    def call(self, job: Job, batch: ClipTasks) -> ExtractionResult:
        """`job(batch)`; WorkerDied if the worker ended before it answered."""
        # one thread as in worker processes, so that the bytes are the same
        with threadpool_limits(1):
            return job(batch)

    def compute(
        self, job: Job, batches: Iterable[ClipTasks]
    ) -> Iterator[ExtractionResult]:
        """The results of the batches, in the order in which they finish."""
        parallel = Parallel(
            self.in_flight, backend="threading", return_as="generator_unordered"
        )
        return parallel(delayed(self.finish)(job, batch) for batch in batches)

    def finish(self, job: Job, batch: ClipTasks) -> ExtractionResult:
        """The batch's result; if workers die, it is halved until one clip fails."""
        for _ in range(self.attempts):
            with suppress(WorkerDied):
                return self.call(job, batch)
        if half := len(batch) // 2:
            first = self.finish(job, batch[:half])
            return first + self.finish(job, batch[half:])
        why = "killed, out of memory, or a crash in a library"
        reason = f"its worker died repeatedly: {why}"
        return ExtractionResult(1, [(batch[0].row, WHOLE, reason)])


class _Worker:
    """One process that computes batches, one after the other."""

    def __init__(self) -> None:
        self.ready = False
        context = multiprocessing.get_context(START_METHOD)
        context.set_forkserver_preload(PRELOADED)
        try:
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(  # type: ignore[attr-defined]
                target=_serve, args=(theirs,), daemon=True
            )
            with _script_hidden():
                self.process.start()
        except (OSError, EOFError) as error:
            raise Failed(
                f"a worker process does not start ({error or 'its server ended'}):"
                " JOBS=1 computes without worker processes"
            ) from error
        theirs.close()

    def call(self, job: Job, batch: ClipTasks) -> ExtractionResult:
        """The result, or the worker's exception; WorkerDied if the worker ended."""
        try:
            self.ready = self.ready or self.pipe.recv()
            # cloudpickle also takes features of a user's script or notebook
            self.pipe.send_bytes(cloudpickle.dumps((job, batch)))
            succeeded, result = self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDied from error
        if not succeeded:
            raise result
        return result

    def end(self) -> None:
        """Kill the process: safe at any moment, see features_cache/writer.py."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Workers(Backend):
    """Processes on this machine, one thread each, replaced when they die."""

    attempts = 2

    def __init__(self, count: int) -> None:
        self.processes = self.in_flight = count
        self.failed_starts = 0
        before = dict(os.environ)
        # the fork server passes these variables to all workers, including later ones,
        # and loads this project's modules, not ones of that name in the current folder
        path = os.pathsep.join(filter(None, [str(HOME), before.get("PYTHONPATH")]))
        settings = ONE_THREAD | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path}
        os.environ |= settings
        self.workers: list[_Worker] = []
        self.idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        try:
            for _ in range(count):
                self.workers.append(_Worker())
                self.idle.put(self.workers[-1])
        except Failed:
            self.__exit__()
            raise
        finally:
            for name in settings:
                del os.environ[name]
            os.environ |= before

    def call(self, job: Job, batch: ClipTasks) -> ExtractionResult:
        """`job(batch)` on the next free worker; RequestError if none starts."""
        worker = self.idle.get()
        try:
            result = worker.call(job, batch)
            self.failed_starts = 0
            return result
        except WorkerDied:
            worker.end()
            self.failed_starts += not worker.ready
            if self.failed_starts > MOST_FAILED_STARTS:
                raise RequestError(
                    "worker processes end as soon as they start: use JOBS=1"
                ) from None
            self.workers.remove(worker)
            worker = _Worker()
            self.workers.append(worker)
            raise
        finally:
            self.idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            worker.end()


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Start processes in this context without importing, and so running, the caller's
    script.
    """
    main = vars(sys.modules["__main__"])
    with STARTING:
        hidden = {name: main.pop(name, None) for name in ("__file__", "__spec__")}
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update({name: value for name, value in hidden.items() if value})


def _serve(pipe: Connection) -> None:
    """Take batches, compute them and answer, until the parent closes the pipe."""
    files.become_child()
    tell_warnings()
    keep_freed_arrays()
    # a fork server that somebody else started (a DataLoader, say) has its own variables
    os.environ |= ONE_THREAD
    with suppress(EOFError, ConnectionError), threadpool_limits(1):
        pipe.send(True)
        while True:
            job, batch = pipe.recv()
            try:
                answer = True, job(batch)
            except BaseException as error:  # the parent raises it
                answer = False, error
            pipe.send(answer)
