"""Where batches are computed: in this process, in worker processes, on a Dask cluster; joblib dispatches.

An engine is a callable `engine(function, items)` that yields results as they come. Workers write their own
clips into the cache and return a few numbers a batch, so nothing here grows with the number of clips.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config

from commandline import RequestError
from pipeline.job import Batch, Outcome, lost
from pipeline.workers import WorkerDied, Workers

Engine = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def opened(engine: str, jobs: int | None, scheduler: str | None) -> Iterator[Engine]:
    """The engine of this name, with `jobs` processes (all cores by default)."""
    jobs = jobs or cpu_count()
    if jobs < 1:
        raise RequestError(f"JOBS={jobs}: expected a number of processes, 1 or more")
    if engine == "dask":
        with _dask(scheduler) as parallel:
            yield partial(_dispatch, parallel)
    elif jobs == 1:
        yield map
    else:
        with Workers(jobs) as workers:
            parallel = _parallel(n_jobs=jobs, backend="threading")
            yield lambda function, items: _dispatch(parallel, partial(_surely, workers, function), items)


def _dispatch(parallel: Parallel, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    return parallel(delayed(function)(item) for item in items)


def _parallel(**options: Any) -> Parallel:
    """Results as they come; no more batches made than are soon needed, each long enough for a task."""
    return Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1, **options)


@contextmanager
def _dask(scheduler: str | None) -> Iterator[Parallel]:
    """joblib's own Dask backend, on the cluster at `scheduler`."""
    try:
        from distributed import Client
    except ImportError:
        raise RequestError("ENGINE=dask needs Dask: pip install -r requirements-scale.txt") from None
    if not scheduler:
        raise RequestError("ENGINE=dask needs SCHEDULER=tcp://host:port, the address of a Dask scheduler")
    try:
        client = Client(scheduler, set_as_default=False)
    except OSError as error:
        raise RequestError(f"no Dask scheduler answers at SCHEDULER={scheduler}: {error}") from error
    with client, parallel_config("dask", client=client):
        yield _parallel(n_jobs=-1)


def _surely(workers: Workers, function: Callable[[Batch], Outcome], batch: Batch) -> Outcome:
    """The batch's outcome although workers may die: tried twice, then in halves, until one clip is named."""
    for _ in range(2):
        try:
            return workers.call(function, batch)
        except WorkerDied:
            pass
    if len(batch.rows) == 1:
        return lost(batch, "its worker process died twice: killed, out of memory, or a crash in a library")
    first, second = batch.halves()
    return _surely(workers, function, first) + _surely(workers, function, second)
