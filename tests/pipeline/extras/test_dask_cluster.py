"""A Dask cluster gives the bytes that worker processes give; what is killed there costs no clip."""

import os
import random
import signal
import threading
import time
from concurrent.futures import CancelledError
from types import SimpleNamespace

import pytest

from commandline.registry import RequestError
from features_cache import Cache
from features_cache.claims import RunIsGone
from pipeline import extract
from pipeline.worker import ExtractionResult
from tests.pipeline.changing import ChangingDataset
from tests.pipeline.extraction import batch_of, done, options

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="BACKEND=dask needs requirements-scale.txt")
dask_cluster = pytest.importorskip("pipeline.extras.dask_cluster")
Cluster, refuse_unfit = dask_cluster.Cluster, dask_cluster.refuse_unfit
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
    """Kills a process as soon as some clips are done; `left` is how many were."""

    def __init__(self, data, pid):
        super().__init__(daemon=True)
        self.data, self.pid, self.left = data, pid, 0
        self.start()

    def run(self):
        until = time.monotonic() + 600
        while not self.left and time.monotonic() < until:
            self.left = done(self.data / "sounds" / "features", FEATURES)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)


def test_a_cluster_gives_the_same_bytes_loses_a_worker_and_then_its_scheduler(sounds, tmp_path, capsys):
    """One cluster for all: a worker is killed in the first run, the scheduler in the second."""
    from tests.pipeline.local_dask import started

    plain, first, second = (tmp_path / name for name in ("plain", "first", "second"))
    extract.extract(*asked(sounds, plain))
    (tmp_path / "dask").mkdir()
    with started(tmp_path / "dask") as dask:
        on = {"backend": "dask", "scheduler": dask.address}
        killed = dask.pids()[0]
        killing = InTheMiddle(first, killed)
        outcome = extract.extract(*asked(sounds, first, **on))
        killing.join()
        assert 0 < killing.left < MAPS and (outcome.clips, outcome.failures) == (CLIPS, [])
        assert contents(first) == contents(plain)
        assert killed not in dask.pids()
        _, chosen = asked(sounds, second, **on)
        killing = InTheMiddle(second, dask.scheduler.pid)
        assert extract.run(chosen) == 1
        killing.join()
        assert "stopped: the Dask scheduler was lost" in capsys.readouterr().err
        with pytest.raises(RequestError, match="no Dask scheduler answers at SCHEDULER=tcp://"):
            extract.run(chosen)
    left = done(second / "sounds" / "features", FEATURES)
    assert 0 < killing.left <= left < MAPS
    assert extract.extract(*asked(sounds, second)).computed.total() == MAPS - left
    assert contents(second) == contents(plain)


def answering(result):
    """A client of three cores whose futures have this result, or raise it."""

    def submit(function, batch, pure):
        def get():
            if isinstance(answer := result(batch) if callable(result) else result, BaseException):
                raise answer
            return answer

        return SimpleNamespace(result=get)

    return SimpleNamespace(ncores=lambda: {"tcp://one": 1, "tcp://two": 2}, submit=submit)


def test_only_the_clip_that_kills_every_worker_is_lost():
    def dies_of_one(batch):
        if any(task.row == 1 for task in batch):
            return distributed.KilledWorker("batch", SimpleNamespace(address="tcp://one"), 3)
        return ExtractionResult(clips=len(batch))

    cluster = Cluster(answering(dies_of_one))
    assert cluster.processes == 3
    outcome = cluster.finish(len, batch_of(3))
    assert outcome.clips == 3
    ((row, _, reason),) = outcome.failures
    assert row == 1 and "one Dask worker after the other" in reason


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (RunIsGone(), OSError, "the folder has to be at the same path on all machines"),
        *(
            (lost, ConnectionError, "the Dask scheduler was lost")
            for lost in (CancelledError(), distributed.comm.CommClosedError("in <TCP (closed)>"))
        ),
        (RuntimeError("Error during deserialization"), RequestError, "start it in the project's folder"),
    ],
)
def test_what_goes_wrong_on_the_cluster_is_said_in_words_of_this_project(raised, kind, said):
    with pytest.raises(kind, match=said):
        Cluster(answering(raised)).call(len, [])


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
    def run(function):
        if isinstance(theirs, Exception):
            raise theirs
        return theirs

    client = SimpleNamespace(wait_for_workers=lambda count, timeout: None, run=run)
    with pytest.raises(RequestError, match=message):
        refuse_unfit(client, "tcp://x:1")


@pytest.mark.parametrize(
    ("settings", "scheduler", "told"),
    [
        ({}, "tls://10.0.0.1:1", "needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        (
            dict.fromkeys(("tls.ca-file", "tls.client.cert", "tls.client.key"), "/absent.pem"),
            "tls://10.0.0.1:1",
            "TLS files .*No such file",
        ),
        ({"require-encryption": True}, "tcp://10.0.0.1:1", r"give tls://10\.0\.0\.1:1"),
        ({}, None, "SCHEDULER=tcp://host:port"),
    ],
)
def test_an_address_that_nobody_should_trust_is_refused_before_anybody_is_called(settings, scheduler, told):
    chosen = {f"distributed.comm.{name}": value for name, value in settings.items()}
    with dask.config.set(chosen), pytest.raises(RequestError, match=told):
        dask_cluster.connected(scheduler).__enter__()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", 0), ("10.9.9.9", 1)])
def test_a_cluster_that_anybody_in_the_network_might_be_is_told(host, told, capsys):
    dask_cluster.refuse_untrusted(f"tcp://{host}:1")
    assert capsys.readouterr().err.count("for trusted networks only") == told
