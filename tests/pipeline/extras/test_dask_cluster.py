"""A Dask cluster stores the bytes of worker processes; a killed worker or scheduler costs no clip."""

import os
import random
import signal
import threading
import time
from concurrent.futures import CancelledError
from unittest.mock import Mock

import pytest

from commandline.errors import Failed, RequestError
from features_cache import Cache
from features_cache.claims import RunIsGone
from pipeline import extract
from pipeline.pool import WorkerDied
from tests.pipeline.changing import ChangingDataset
from tests.pipeline.extraction import done, options
from tests.refusal import refused

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="BACKEND=dask needs the extra scale")
dask_cluster = pytest.importorskip("pipeline.extras.dask_cluster")
Cluster = dask_cluster.Cluster
refuse_unfit = dask_cluster.refuse_unfit
FEATURES = ("harmonic", "mel", "zcr")
CLIPS = 40
MAPS = CLIPS * len(FEATURES)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return ChangingDataset(tmp_path_factory.mktemp("sounds") / "sounds", random.Random(0), clips=CLIPS)


def asked(sounds, data, **given):
    chosen = options(sounds, data=data, features=" ".join(FEATURES), duration=2.0, **given)
    return extract.request(chosen), chosen


def contents(data):
    cache = Cache(data / "sounds" / "features")
    files = {name: cache[name] for name in FEATURES}
    return {name: (file.map().tobytes(), file.map(state=True).tobytes()) for name, file in files.items()}


class InTheMiddle(threading.Thread):
    """Ends something as soon as some clips are done; `left` is their number."""

    def __init__(self, data, end):
        super().__init__(daemon=True)
        self.data, self.end, self.left = data, end, 0
        self.start()

    def run(self):
        until = time.monotonic() + 600
        while not self.left and time.monotonic() < until:
            self.left = done(self.data / "sounds" / "features", FEATURES)
            time.sleep(0.005)
        self.end()


def test_a_cluster_gives_the_same_bytes_loses_a_worker_and_then_its_scheduler(sounds, tmp_path, capsys):
    """The first run loses a worker, the second the scheduler."""
    plain, first, second = (tmp_path / name for name in ("plain", "first", "second"))
    extract.extract(*asked(sounds, plain))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path / "dask"
    ) as dask:
        on = {"backend": "dask", "scheduler": dask.scheduler_address}
        killed = dask.workers[0].pid
        killing = InTheMiddle(first, lambda: os.kill(killed, signal.SIGKILL))
        outcome = extract.extract(*asked(sounds, first, **on))
        killing.join()
        assert 0 < killing.left < MAPS and (outcome.clips, outcome.failures) == (CLIPS, [])
        assert contents(first) == contents(plain)
        assert killed not in [worker.pid for worker in dask.workers.values()]
        _, chosen = asked(sounds, second, **on)
        killing = InTheMiddle(second, dask.close)
        with pytest.raises(Failed, match="the Dask scheduler was lost"):
            extract.run(chosen)
        killing.join()
        with refused("no Dask scheduler answers at SCHEDULER=tcp://"):
            extract.run(chosen)
    left = done(second / "sounds" / "features", FEATURES)
    assert 0 < killing.left <= left < MAPS
    assert extract.extract(*asked(sounds, second)).computed.total() == MAPS - left
    assert contents(second) == contents(plain)


def failing(error):
    """A client of three cores whose futures raise this."""
    client = Mock(ncores=lambda: {"tcp://one": 1, "tcp://two": 2})
    client.submit.return_value.result.side_effect = error
    return client


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (distributed.KilledWorker("batch", Mock(address="tcp://one"), 3), WorkerDied, None),
        (RunIsGone(), Failed, "the folder has to be at the same path on all machines"),
        *(
            (lost, Failed, "the Dask scheduler was lost")
            for lost in (CancelledError(), distributed.comm.CommClosedError("in <TCP (closed)>"))
        ),
        (RuntimeError("Error during deserialization"), RequestError, "start it in the project's folder"),
    ],
)
def test_what_goes_wrong_on_the_cluster_is_said_in_words_of_this_project(raised, kind, said):
    cluster = Cluster(failing(raised))
    assert cluster.processes == 3
    with pytest.raises(kind, match=said):
        cluster.call(len, [])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"tcp://one": "librosa 0.1"}, "the Dask worker tcp://one has librosa 0.1; expected librosa"),
        (ModuleNotFoundError(name="pipeline"), "the Dask workers lack pipeline: start them in the project"),
        (TimeoutError(), "no worker has joined tcp://x:1; in the project's folder: .*dask worker tcp://x:1"),
    ],
    ids=["other versions", "other folder", "no worker"],
)
def test_a_cluster_that_is_not_fit_is_refused_before_it_works(theirs, message):
    with refused(message):
        refuse_unfit(Mock(run=Mock(side_effect=[theirs])), "tcp://x:1")


@pytest.mark.parametrize(
    ("settings", "scheduler", "told"),
    [
        ({}, "tls://10.0.0.1:1", "needs certificates.*docs/howto/scale.md"),
        (
            dict.fromkeys(("tls.ca-file", "tls.client.cert", "tls.client.key"), "/absent.pem"),
            "tls://10.0.0.1:1",
            "No such file",
        ),
        ({"require-encryption": True}, "tcp://10.0.0.1:1", "encryption required"),
        *(({}, address, "SCHEDULER=tcp://host:port") for address in ("", "x", "tcp://x")),
    ],
)
def test_an_address_that_nobody_should_trust_is_refused_before_anybody_is_called(settings, scheduler, told):
    chosen = {f"distributed.comm.{name}": value for name, value in settings.items()}
    with dask.config.set(chosen), refused(told):
        dask_cluster.connected(scheduler).__enter__()


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", 0),
        ("10.9.9.9", 1),
    ],
)
def test_a_cluster_that_anybody_in_the_network_might_be_is_told(host, told, capsys, monkeypatch):
    monkeypatch.setattr(dask_cluster, "Client", Mock(side_effect=ConnectionError))
    with refused("no Dask scheduler answers"):
        dask_cluster.connected(f"tcp://{host}:1").__enter__()
    assert capsys.readouterr().err.count("for trusted networks only") == told
