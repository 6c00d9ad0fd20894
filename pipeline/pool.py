"""Backends that compute batches: this process, workers, a cluster; joblib dispatches.

Worker processes end with their parent and leave nothing behind, as joblib's own (loky)
did not after a SIGKILL: a worker is a process and a pipe, which closes when the parent
dies. joblib's threads send batches to the workers, which are forked from a fork server
that has loaded the kernels, write clips into the cache and return a few numbers.
"""

import contextlib
import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Self

import cloudpickle
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from featurestack.commandline import HOME
from featurestack.commandline.errors import Failed, RequestError
from featurestack.commandline.terminal import tell_warnings
from featurestack.features_cache.side_files import WHOLE
from featurestack.pipeline import kernels
from featurestack.pipeline.worker import ClipTask, ExtractionResult
from featurestack.storage import system

# bytes of the largest freed array that is kept: glibc's maximum
LARGEST_KEPT = 32 << 20
KEPT = 256 << 20  # bytes of all freed arrays that are kept
MOST_FAILED_STARTS = 4  # in a row; so many may come from a passing lack of memory
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

Batch = list[ClipTask]
Function = Callable[[Batch], ExtractionResult]


def keep_freed_arrays() -> None:
    """Keep freed arrays for the next clip: asking glibc for new ones took a fifth."""
    system.set_malloc(system.MMAP_THRESHOLD, LARGEST_KEPT)
    system.set_malloc(system.TRIM_THRESHOLD, KEPT)


class WorkerDied(Exception):
    """A worker ended during its work: killed, out of memory, or a crash."""


class Backend:
    """Computes batches in this process; subclasses do so in others."""

    processes = 1
    in_flight = 1  # batches that are sent and not yet answered
    attempts = 1  # attempts at a batch, if its worker dies

    def call(self, function: Function, batch: Batch) -> ExtractionResult:
        """`function(batch)`; WorkerDied if the worker ended before it answered."""
        # worker processes have one thread too: the bytes are the same
        with threadpool_limits(1):
            return function(batch)

    def compute(
        self, function: Function, batches: Iterable[Batch]
    ) -> Iterator[ExtractionResult]:
        """The results of the batches, in the order in which they finish."""
        parallel = Parallel(
            self.in_flight,
            backend="threading",
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
            batch_size=1,
        )
        return parallel(delayed(self.finish)(function, batch) for batch in batches)

    def finish(self, function: Function, batch: Batch) -> ExtractionResult:
        """The batch's result; if workers die, it is halved until one clip fails."""
        for _ in range(self.attempts):
            with contextlib.suppress(WorkerDied):
                return self.call(function, batch)
        half = len(batch) // 2
        if half:
            return self.finish(function, batch[:half]) + self.finish(
                function, batch[half:]
            )
        reason = (
            "its worker died again and again: killed, out of memory, or a crash in a"
            " library"
        )
        return ExtractionResult(1, [(batch[0].row, WHOLE, reason)])


class Worker:
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
                " compute without, JOBS=1"
            ) from error
        theirs.close()

    def call(self, function: Function, batch: Batch) -> ExtractionResult:
        """The result, or the worker's exception; WorkerDied if the worker ended."""
        try:
            self.ready = self.ready or self.pipe.recv()
            # cloudpickle also takes features of a user's script or notebook
            self.pipe.send_bytes(cloudpickle.dumps((function, batch)))
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
    """Processes of this machine, one thread each, replaced if they die."""

    attempts = 2

    def __init__(self, count: int) -> None:
        self.processes = self.in_flight = count
        self.failed_starts = 0
        before = dict(os.environ)
        # the fork server hands these variables to all workers, also to later ones, and
        # loads this project's modules, not the current folder's of the same name
        path = os.pathsep.join(filter(None, [str(HOME), before.get("PYTHONPATH")]))
        settings = ONE_THREAD | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path}
        os.environ |= settings
        self.workers: list[Worker] = []
        try:
            for _ in range(count):
                self.workers.append(Worker())
        except Failed:
            self.__exit__()
            raise
        finally:
            for name in settings:
                del os.environ[name]
            os.environ |= before
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            self.idle.put(worker)

    def call(self, function: Function, batch: Batch) -> ExtractionResult:
        """`function(batch)` on the next free worker; RequestError if none starts."""
        worker = self.idle.get()
        try:
            result = worker.call(function, batch)
            self.failed_starts = 0
            return result
        except WorkerDied:
            worker.end()
            self.failed_starts += not worker.ready
            if self.failed_starts > MOST_FAILED_STARTS:
                raise RequestError(
                    "worker processes end as they start: compute without, JOBS=1"
                ) from None
            self.workers.remove(worker)
            worker = Worker()
            self.workers.append(worker)
            raise
        finally:
            self.idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            worker.end()


@contextlib.contextmanager
def _script_hidden() -> Iterator[None]:
    """A process started here does not import, and so run, the caller's script."""
    main = vars(sys.modules["__main__"])
    with STARTING:
        known: dict[str, object] = {
            name: main.pop(name) for name in ("__file__", "__spec__") if name in main
        }
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update(known)


def _serve(pipe: Connection) -> None:
    """Take batches, compute them and answer, until the parent closes the pipe."""
    system.become_child()
    tell_warnings()
    keep_freed_arrays()
    # a fork server that somebody else started (a DataLoader, say) has its own variables
    os.environ |= ONE_THREAD
    with contextlib.suppress(EOFError, ConnectionError), threadpool_limits(1):
        pipe.send(True)
        while True:
            function, batch = pipe.recv()
            try:
                answer = True, function(batch)
            except Exception as error:  # the parent raises it again
                answer = False, error
            pipe.send(answer)
