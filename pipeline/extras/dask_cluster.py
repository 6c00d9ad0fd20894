"""BACKEND=dask: a Dask cluster's workers, called like the worker processes of this machine.

They write their clips into the cache like any other worker; what travels is a batch's paths and a few numbers
back. A worker that dies costs nothing: Dask hands its batches to others, and whatever it had written stays
or is written again with the same bytes. The workers need this project's folder on their path, its
environment, and the cache and the audio at the same paths.

joblib's own Dask backend was tried: where Dask gives a batch up, because it killed one worker after the
other, that backend forgets the batch and the run hangs. So joblib's threads hand out batches here as well.
"""

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from commandline.registry import RequestError
from commandline.terminal import tell
from features_cache.claims import RunIsGone
from pipeline.pool import WorkerDied
from pipeline.request import libraries

if TYPE_CHECKING:
    from distributed import Client

SCHEDULER_WITHIN, FIRST_WORKER_WITHIN = 10, 30  # seconds
IN_FLIGHT = 2  # batches a core, so that none waits for its next one to arrive


class Cluster:
    """Its workers, as many batches at a time as `count` says."""

    attempts = 1  # Dask makes four itself
    died = "one Dask worker after the other died of it"

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.processes = sum(client.ncores().values())
        self.count = IN_FLIGHT * self.processes

    def call(self, function: Callable[[Any], Any], item: Any) -> Any:
        """`function(item)` on some worker; WorkerDied where it killed several, OSError without a cluster."""
        from distributed import KilledWorker

        try:
            return self.client.submit(function, item, pure=False).result()
        except KilledWorker as error:
            raise WorkerDied from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise RequestError(
                "the Dask scheduler lacks this project: start it in the project's folder with PYTHONPATH=."
            ) from error
        except CancelledError as error:
            raise ConnectionError("the Dask scheduler was lost") from error
        except RunIsGone as error:
            raise FileNotFoundError(
                "a Dask worker does not see this run in the cache: the folder has to be at the same path on "
                "all machines, on a file system whose locks reach them; where they do not, use PART= instead"
            ) from error


@contextmanager
def connected(scheduler: str | None) -> Iterator[Cluster]:
    """The cluster behind this address, whose workers are fit for the work; else RequestError."""
    try:
        from distributed import Client
    except ImportError:
        raise RequestError("BACKEND=dask needs Dask: pip install -r requirements-scale.txt") from None
    if not scheduler:
        raise RequestError("BACKEND=dask needs SCHEDULER=tcp://host:port, the address of a Dask scheduler")
    _tell_of_trust(scheduler)
    try:
        client = Client(scheduler, set_as_default=False, timeout=SCHEDULER_WITHIN)
    except (OSError, ValueError) as error:
        raise RequestError(f"no Dask scheduler answers at SCHEDULER={scheduler}: {error}") from error
    with client:
        _refuse_unfit(client, scheduler)
        yield Cluster(client)


def _tell_of_trust(scheduler: str) -> None:
    """RequestError for TLS without certificates, or for none where it is required; where anybody in the
    network might be the cluster, a line.
    """
    import dask

    protocol, _, place = scheduler.rpartition("://")
    if protocol == "tls":
        _refuse_wrong_certificates(scheduler)
    if protocol != "tls" and dask.config.get("distributed.comm.require-encryption", None):
        raise RequestError(
            f"SCHEDULER={scheduler} is not encrypted, and Dask's settings (REQUIRE_ENCRYPTION) refuse that: "
            f"give tls://{place}"
        )
    if protocol != "tls" and not place.startswith(("127.", "localhost", "[::1]")):
        tell("Dask without TLS is not authenticated: for trusted networks only (docs/howto/scale.md)")


def _refuse_wrong_certificates(scheduler: str) -> None:
    """RequestError where the authority's or the client's file is not set, not there or no pair."""
    import dask

    authority, certificate, key = (
        dask.config.get(f"distributed.comm.tls.{one}", None)
        for one in ("ca-file", "client.cert", "client.key")
    )
    if not (authority and certificate):
        raise RequestError(
            f"SCHEDULER={scheduler} needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE "
            "and those of the client, as docs/howto/scale.md shows"
        )
    try:
        ssl.create_default_context(cafile=authority).load_cert_chain(certificate, key)
    except OSError as error:
        files = ", ".join(str(one) for one in (authority, certificate, key) if one)
        raise RequestError(f"the TLS files of Dask's settings cannot be used ({files}): {error}") from error


def _refuse_unfit(client: "Client", scheduler: str) -> None:
    """RequestError where there are no workers, or some cannot give the same bytes as this machine."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_WITHIN)
    except TimeoutError:
        raise RequestError(
            f"no worker has joined {scheduler}; in the project's folder: "
            f"PYTHONPATH=. dask worker {scheduler} --nthreads 1"
        ) from None
    try:
        theirs = client.run(libraries)
    except ModuleNotFoundError as error:
        raise RequestError(
            f"the Dask workers lack {error.name}: start them in the project's folder, with its environment"
        ) from None
    differing = {worker: found for worker, found in theirs.items() if found != libraries()}
    if differing:
        worker, found = next(iter(differing.items()))
        raise RequestError(f"the Dask worker {worker} has {found}; expected {libraries()} as here")
