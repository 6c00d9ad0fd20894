"""Where batches are computed: in this process, in worker processes, on a Dask cluster; joblib dispatches.

Worker processes end with their parent and leave nothing behind. joblib's own processes (loky) were tried:
after a SIGKILL of the parent they went on writing, a SIGKILL of all of them left eight semaphores and two
folders in /dev/shm each time, and one that was killed took the whole run with it. A worker here is a spawned
process and a pipe: no semaphore, no shared memory, and its parent's end is the end of the pipe. Threads of
joblib hand it its batches.

Workers write their own clips into the cache and return a few numbers a batch, and a batch is made when it is
soon needed, so nothing here grows with the number of clips.
"""

import contextlib
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Self

from joblib import Parallel, cpu_count, delayed

from commandline import system
from commandline.registry import RequestError
from commandline.terminal import tell_warnings
from pipeline.job import ClipBatch, ExtractionResult, lost

if TYPE_CHECKING:
    from pipeline.extras.dask_cluster import Cluster

LARGEST_KEPT = 32 << 20  # bytes of one array, the most that glibc allows
KEPT = 256 << 20  # bytes in all
MOST_FAILED_STARTS = 4  # in a row, of all workers; one may be killed for want of memory
START_METHOD = "spawn"  # a fork would copy locks of threads, held or not, and the run's own locks
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)


def keep_freed_arrays() -> None:
    """Keep freed arrays for the next clip, if the C library is glibc; elsewhere do nothing.

    By default glibc gives arrays of more than 128 kB back to the system at once, and the system hands out
    the next one page by page, zeroed. A clip has a hundred of them: that was a fifth of its time.
    """
    system.set_malloc(system.MMAP_THRESHOLD, LARGEST_KEPT)
    system.set_malloc(system.TRIM_THRESHOLD, KEPT)


class WorkerDied(Exception):
    """A worker ended in the middle of its work: killed, out of memory, or a crash in a library."""


class WorkerNeverStarted(WorkerDied):
    """A worker ended before it was ready to work."""


class Worker:
    """One process that computes `function(item)`, one after the other."""

    def __init__(self) -> None:
        self._ready = False
        context: Any = multiprocessing.get_context(START_METHOD)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _environment(ONE_THREAD):
            self._process.start()
        theirs.close()

    def call(self, function: Callable[[Any], Any], item: Any) -> Any:
        """The result, or the exception that was raised there; WorkerDied where it ended instead."""
        try:
            self._ready = self._ready or self._pipe.recv()
            self._pipe.send((function, item))
            succeeded, result = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise (WorkerDied if self._ready else WorkerNeverStarted) from error
        if not succeeded:
            raise result
        return result

    def end(self) -> None:
        """At once: clips are written such that this is safe."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class Workers:
    """A few of them, each taken by one thread at a time."""

    attempts = 2  # at a batch whose worker died
    died = "its worker process died twice"

    def __init__(self, count: int) -> None:
        self.count, self._failed_starts = count, 0
        self._all = [Worker() for _ in range(count)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def call(self, function: Callable[[Any], Any], item: Any) -> Any:
        """`function(item)` on the next worker that is free; one that died is replaced."""
        worker = self._idle.get()
        try:
            result = worker.call(function, item)
            self._failed_starts = 0
            return result
        except WorkerDied as death:
            worker.end()
            self._failed_starts += isinstance(death, WorkerNeverStarted)
            if self._failed_starts > MOST_FAILED_STARTS:
                raise RequestError(
                    "the worker processes end as they start; in a script of your own the call has to stand "
                    'below `if __name__ == "__main__":`, since every worker imports it, or take jobs=1'
                ) from None
            self._all.remove(worker)
            worker = Worker()
            self._all.append(worker)
            raise
        finally:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._all:
            worker.end()


def _serve(pipe: Connection) -> None:
    """A worker's life: take, compute, answer, until the parent closes the pipe."""
    system.become_child()
    tell_warnings()
    keep_freed_arrays()
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send(True)
        while True:
            function, item = pipe.recv()
            try:
                answer = True, function(item)
            except Exception as error:
                answer = False, error
            pipe.send(answer)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Backend:
    """`backend(function, items)` yields results as they come, of `processes` items at a time."""

    processes: int
    dispatch: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return self.dispatch(function, items)


@contextlib.contextmanager
def open_backend(name: str, jobs: int | None, scheduler: str | None) -> Iterator[Backend]:
    """The backend of this name, processes or dask, with `jobs` processes (all cores by default)."""
    if name == "dask":
        from pipeline.extras import dask_cluster

        with dask_cluster.connected(scheduler) as cluster:
            yield Backend(cluster.processes, partial(_dispatch, cluster))
        return
    jobs = jobs or cpu_count()
    if jobs < 1:
        raise RequestError(f"JOBS={jobs}: expected a number of processes, 1 or more")
    if jobs == 1:
        keep_freed_arrays()
        yield Backend(1, map)
    else:
        with Workers(jobs) as workers:
            yield Backend(jobs, partial(_dispatch, workers))


def unused_options(name: str, jobs: int | None, scheduler: str | None) -> list[str]:
    """Options that were given and change nothing with this backend, a sentence each."""
    if name == "dask":
        return ["JOBS does not apply with BACKEND=dask: the cluster has its own"] if jobs else []
    return ["SCHEDULER applies only with BACKEND=dask"] if scheduler else []


def _dispatch(
    workers: "Workers | Cluster",
    function: Callable[[ClipBatch], ExtractionResult],
    items: Iterable[ClipBatch],
) -> Iterator[ExtractionResult]:
    parallel = Parallel(
        workers.count,
        backend="threading",
        return_as="generator_unordered",
        pre_dispatch="2*n_jobs",
        batch_size=1,
    )
    return parallel(delayed(_call_or_split)(workers, function, item) for item in items)


def _call_or_split(
    workers: "Workers | Cluster", function: Callable[[ClipBatch], ExtractionResult], batch: ClipBatch
) -> ExtractionResult:
    """The batch's outcome although workers may die: tried again, then split, until one clip is named."""
    for _ in range(workers.attempts):
        try:
            return workers.call(function, batch)
        except WorkerDied:
            pass
    if len(batch.rows) == 1:
        return lost(batch, f"{workers.died}: killed, out of memory, or a crash in a library")
    first, second = batch.split()
    return _call_or_split(workers, function, first) + _call_or_split(workers, function, second)
