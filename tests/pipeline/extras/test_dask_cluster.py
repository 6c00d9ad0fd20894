"""A Dask cluster gives the bytes that worker processes give; what is killed there costs no clip."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import Mock

import pytest

from commandline.registry import RequestError
from features_cache import Cache
from features_cache.claims import RunIsGone
from pipeline import extract
from pipeline.pool import WorkerDied
from tests.pipeline.changing import ChangingDataset
from tests.pipeline.extraction import done, options

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="BACKEND=dask needs requirements-scale.txt")
dask_cluster = pytest.importorskip("pipeline.extras.dask_cluster")
Cluster = dask_cluster.Cluster
refuse_unfit = dask_cluster.refuse_unfit
ROOT = Path(__file__).resolve().parents[3]
DASK = str(Path(sys.executable).with_name("dask"))
WITHIN = 60.0  # seconds
DASK_WORKERS = 2
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


class LocalDask(NamedTuple):
    """A scheduler and its worker processes."""

    address: str
    scheduler: subprocess.Popen[bytes]

    def pids(self):
        """Of the processes that compute."""
        with distributed.Client(self.address, set_as_default=False) as client:
            return list(client.run(os.getpid).values())


@contextmanager
def started(folder):
    """The cluster, with all its workers; what it says goes to `folder`."""
    contact = folder / "scheduler.json"
    alone = ["--scheduler-file", str(contact), "--no-dashboard", "--local-directory", str(folder)]
    commands = [
        [DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", *alone[:3]],
        [DASK, "worker", "--nthreads", "1", "--nworkers", str(DASK_WORKERS), *alone],
    ]
    processes = []
    environment = os.environ | {"PYTHONPATH": "."}
    try:
        for command in commands:
            with (folder / f"{command[1]}.txt").open("wb") as said:
                start = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
                processes.append(start)
        until = time.monotonic() + WITHIN
        while not contact.exists():
            assert time.monotonic() < until, (folder / "scheduler.txt").read_text()
            time.sleep(0.05)
        with distributed.Client(scheduler_file=str(contact), set_as_default=False) as client:
            client.wait_for_workers(DASK_WORKERS, timeout=WITHIN)
            address = client.scheduler.address
        yield LocalDask(address, processes[0])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_bytes_loses_a_worker_and_then_its_scheduler(sounds, tmp_path, capsys):
    """One cluster for all: a worker is killed in the first run, the scheduler in the second."""
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


def failing(error):
    """A client of three cores whose futures raise this."""

    def get():
        raise error

    submit = Mock(return_value=SimpleNamespace(result=get))
    return SimpleNamespace(ncores=lambda: {"tcp://one": 1, "tcp://two": 2}, submit=submit)


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (distributed.KilledWorker("batch", Mock(address="tcp://one"), 3), WorkerDied, None),
        (RunIsGone(), OSError, "the folder has to be at the same path on all machines"),
        *(
            (lost, ConnectionError, "the Dask scheduler was lost")
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
        ({}, "tls://10.0.0.1:1", "TLS expects .*docs/howto/scale.md"),
        (
            dict.fromkeys(("tls.ca-file", "tls.client.cert", "tls.client.key"), "/absent.pem"),
            "tls://10.0.0.1:1",
            "No such file",
        ),
        ({"require-encryption": True}, "tcp://10.0.0.1:1", "encryption required"),
        ({}, None, "SCHEDULER=tcp://host:port"),
    ],
)
def test_an_address_that_nobody_should_trust_is_refused_before_anybody_is_called(settings, scheduler, told):
    chosen = {f"distributed.comm.{name}": value for name, value in settings.items()}
    with dask.config.set(chosen), pytest.raises(RequestError, match=told):
        dask_cluster.connected(scheduler).__enter__()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", 0), ("10.9.9.9", 1)])
def test_a_cluster_that_anybody_in_the_network_might_be_is_told(host, told, capsys, monkeypatch):
    monkeypatch.setattr(dask_cluster, "Client", Mock(side_effect=ConnectionError))
    with pytest.raises(RequestError):
        dask_cluster.connected(f"tcp://{host}:1").__enter__()
    assert capsys.readouterr().err.count("for trusted networks only") == told
