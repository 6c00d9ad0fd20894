"""SCHEDULER=tcp://host:port: a Dask cluster's workers, called like the worker
processes of this machine.

Workers write their own clips into the cache; no audio and no feature values are sent.
If a worker dies, Dask gives its batches to others (docs/howto/scale.md).

joblib's own Dask backend forgets a batch that killed several workers, and the run
hangs. So joblib's threads send the batches to Dask, as to local workers.
"""

import re
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, KilledWorker
from distributed.comm import CommClosedError

from featurestack.base.errors import Failed, RequestError, see
from featurestack.features_cache.reservations import ExtractionIsGone
from featurestack.pipeline.extraction_plan import libraries
from featurestack.pipeline.worker import (
    Backend,
    ClipTasks,
    ExtractionResult,
    Job,
    WorkerDied,
)

SCHEDULER_WITHIN, FIRST_WORKER_WITHIN = 10, 30  # seconds
IN_FLIGHT = 2  # batches for each core, so that no core waits for its next one


class Cluster(Backend):
    """A Dask cluster's workers, called by the threads that send batches."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.processes = sum(client.ncores().values())
        self.in_flight = IN_FLIGHT * self.processes

    def call(self, job: Job, batch: ClipTasks) -> ExtractionResult:
        """`job(batch)` on some worker; WorkerDied if the batch killed several
        workers.

        Failed if Dask is lost or a worker does not see the cache; RequestError if Dask
        lacks this project.
        """
        try:
            return self.client.submit(job, batch, pure=False).result()
        except KilledWorker as error:  # after four attempts by Dask
            raise WorkerDied from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise RequestError(
                "the Dask scheduler lacks this project: start it in the project's"
                " folder with PYTHONPATH=."
            ) from error
        except (CancelledError, CommClosedError) as error:
            raise Failed(
                "the Dask scheduler was lost; run the same command again to resume"
            ) from error
        except ExtractionIsGone as error:
            raise Failed(
                "a Dask worker does not see this run in the cache: the folder has to be"
                " at the same path on all machines, on a file system whose locks reach"
                " them; else use PART= instead"
            ) from error


@contextmanager
def connected(scheduler: str) -> Iterator[Cluster]:
    """The cluster at this address; RequestError without one, or for unfit workers."""
    # Dask itself would start a cluster, or try for 10 s
    if not re.fullmatch(r"(\w+://)?\S+:\d+", scheduler):
        raise RequestError(
            f"SCHEDULER={scheduler}: expected the address of a Dask scheduler, such"
            " as tcp://host:port"
        )
    try:
        client = Client(scheduler, set_as_default=False, timeout=SCHEDULER_WITHIN)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        # TLS raises the last two
        raise RequestError(
            f"no Dask scheduler answers at SCHEDULER={scheduler}: {error}"
            + see("howto/scale.md")
        ) from error
    with client:
        refuse_unfit(client, scheduler)
        yield Cluster(client)


def refuse_unfit(client: Client, scheduler: str) -> None:
    """RequestError without workers, or for one of other library versions."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_WITHIN)
        theirs = client.run(libraries)
    except TimeoutError:
        raise RequestError(
            f"no worker has joined {scheduler}; in the project's folder: "
            f"PYTHONPATH=. dask worker {scheduler} --nthreads 1"
        ) from None
    except ModuleNotFoundError as error:
        raise RequestError(
            f"the Dask workers lack {error.name}: start them in the project's folder,"
            " with its environment"
        ) from None
    for worker, versions in theirs.items():
        if versions != libraries():
            raise RequestError(
                f"the Dask worker {worker} has {versions}; expected {libraries()} as"
                " here"
            )
