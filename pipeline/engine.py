"""Where batches are computed: in this process, in worker processes, on a Dask cluster; joblib dispatches.

Workers write their own clips into the cache and return a few numbers a batch, and a batch is made when it is
soon needed, so nothing here grows with the number of clips.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from joblib import Parallel, cpu_count, delayed

from commandline import RequestError
from pipeline import cluster
from pipeline.cluster import Cluster
from pipeline.job import Batch, Outcome, lost
from pipeline.workers import WorkerDied, Workers


@dataclass(frozen=True)
class Engine:
    """`engine(function, items)` yields results as they come, of `processes` items at a time."""

    processes: int
    dispatch: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return self.dispatch(function, items)


@contextmanager
def opened(engine: str, jobs: int | None, scheduler: str | None) -> Iterator[Engine]:
    """The engine of this name, with `jobs` processes (all cores by default)."""
    if engine == "dask":
        with cluster.connected(scheduler) as machines:
            yield Engine(machines.processes, partial(_dispatch, machines))
        return
    jobs = jobs or cpu_count()
    if jobs < 1:
        raise RequestError(f"JOBS={jobs}: expected a number of processes, 1 or more")
    if jobs == 1:
        yield Engine(1, map)
    else:
        with Workers(jobs) as workers:
            yield Engine(jobs, partial(_dispatch, workers))


def idle(engine: str, jobs: int | None, scheduler: str | None) -> list[str]:
    """Options that were given and change nothing with this engine, a sentence each."""
    if engine == "dask":
        return ["ENGINE=dask has no use for JOBS: the cluster has its own"] if jobs else []
    return ["SCHEDULER has no use without ENGINE=dask"] if scheduler else []


def _dispatch(
    workers: Workers | Cluster, function: Callable[[Batch], Outcome], items: Iterable[Batch]
) -> Iterator[Outcome]:
    parallel = Parallel(
        workers.count,
        backend="threading",
        return_as="generator_unordered",
        pre_dispatch="2*n_jobs",
        batch_size=1,
    )
    return parallel(delayed(_surely)(workers, function, item) for item in items)


def _surely(workers: Workers | Cluster, function: Callable[[Batch], Outcome], batch: Batch) -> Outcome:
    """The batch's outcome although workers may die: tried again, then in halves, until one clip is named."""
    for _ in range(workers.attempts):
        try:
            return workers.call(function, batch)
        except WorkerDied:
            pass
    if len(batch.rows) == 1:
        return lost(batch, f"{workers.died}: killed, out of memory, or a crash in a library")
    first, second = batch.halves()
    return _surely(workers, function, first) + _surely(workers, function, second)
