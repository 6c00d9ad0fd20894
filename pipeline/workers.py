"""Worker processes that end with their parent and leave nothing behind.

joblib hands out the batches; this is what its threads hand them to. joblib's own processes (loky) were tried:
after a SIGKILL of the parent they went on writing, a SIGKILL of all of them left eight semaphores and two
folders in /dev/shm each time, and one that was killed took the whole run with it. A worker here is a spawned
process and a pipe: no semaphore, no shared memory, and its parent's end is the end of the pipe.
"""

import contextlib
import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from pipeline.memory import keep_freed_memory

START_METHOD = "spawn"  # a fork would copy locks of threads, held or not, and the run's own locks
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
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


class WorkerDied(Exception):
    """A worker ended in the middle of its work: killed, out of memory, or a crash in a library."""


class Worker:
    """One process that computes `function(item)`, one after the other."""

    def __init__(self) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _environment(ONE_THREAD):
            self._process.start()
        theirs.close()

    def call(self, function: Callable[[Any], Any], item: Any) -> Any:
        """The result, or the exception that was raised there; WorkerDied where it ended instead."""
        try:
            self._pipe.send((function, item))
            succeeded, result = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDied from error
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
        self.count = count
        self._all = [Worker() for _ in range(count)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def call(self, function: Callable[[Any], Any], item: Any) -> Any:
        """`function(item)` on the next worker that is free; one that died is replaced."""
        worker = self._idle.get()
        try:
            return worker.call(function, item)
        except WorkerDied:
            worker.end()
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _end_with_parent()
    keep_freed_memory()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            function, item = pipe.recv()
            try:
                answer = True, function(item)
            except Exception as error:
                answer = False, error
            pipe.send(answer)


def _end_with_parent() -> None:
    """Linux's kernel sees to it; elsewhere, and where the kernel came too late, a thread does."""
    parent = multiprocessing.parent_process()
    assert parent
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
