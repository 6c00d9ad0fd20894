"""A Dask cluster gives the bytes that worker processes give; what is killed there costs no clip."""

import io
import os
import pickle
import random
import shutil
import signal
import subprocess
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from commandline.registry import RequestError
from features_cache import Cache
from features_cache.claims import RunIsGone
from pipeline import extract, pool
from pipeline.extras import dask_cluster
from pipeline.job import ClipBatch
from pipeline.options import FeaturesCommand
from pipeline.request import request
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

distributed = pytest.importorskip("distributed", reason="BACKEND=dask needs requirements-scale.txt")
FEATURES = ("harmonic", "mel", "zcr")
CLIPS = 80
SENT = {"pipeline", "features_cache", "commandline", "numpy", "pathlib", "functools"}  # a batch is made of


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return ChangingDataset(tmp_path_factory.mktemp("sounds") / "sounds", random.Random(0), clips=CLIPS)


@pytest.fixture(scope="module")
def by_processes(sounds, tmp_path_factory):
    """Every feature's bytes as worker processes give them."""
    data = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pool, "START_METHOD", "fork")  # a spawned one loads its libraries anew
        extract.extract(*asked(sounds, data, jobs=2))
    return contents(data)


@pytest.fixture(scope="module")
def dask(by_processes, tmp_path_factory):
    """A scheduler and two workers, processes of their own."""
    from tests.pipeline.local_dask import started

    with started(tmp_path_factory.mktemp("dask")) as running:
        yield running


def asked(sounds, data, **given):
    options = FeaturesCommand(
        dataset=str(sounds.csv),
        data=data,
        features=" ".join(FEATURES),
        sample_rate=SAMPLE_RATE,
        duration=2.0,
        **given,
    )
    return request(options), options


def on(dask):
    return {"backend": "dask", "scheduler": dask.address}


def folder(data):
    return data / "sounds" / "features"


def contents(data):
    cache = Cache(folder(data))
    files = {name: cache[name].file for name in FEATURES}
    return {name: (file.map().tobytes(), file.map(state=True).tobytes()) for name, file in files.items()}


def done(data):
    """Clips that count as done, once their files are there."""
    if not (folder(data) / "index.h5").exists():
        return 0
    return int(Cache(folder(data)).readable(FEATURES).sum())


class InTheMiddle(threading.Thread):
    """Kills a process as soon as some clips are done; `left` is how many were."""

    def __init__(self, data, pid):
        super().__init__(daemon=True)
        self.data, self.pid, self.left = data, pid, 0
        self.start()

    def run(self):
        until = time.monotonic() + 60
        while not self.left and time.monotonic() < until:
            self.left = done(self.data)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)


class Recording:
    """A client that notes what is sent to the cluster."""

    def __init__(self, client):
        self.client, self.sent = client, []

    def ncores(self):
        return self.client.ncores()

    def submit(self, function, item, pure):
        self.sent.append((function, item))
        return self.client.submit(function, item, pure=pure)


class Imports(pickle.Unpickler):
    """Notes the packages that unpickling imports from."""

    def __init__(self, pickled):
        super().__init__(io.BytesIO(pickled))
        self.packages = set()

    def find_class(self, module, name):
        self.packages.add(module.partition(".")[0])
        return super().find_class(module, name)


def test_a_worker_is_sent_functions_of_the_project_by_name_and_data_alone(
    sounds, dask, tmp_path, monkeypatch
):
    """No code travels: what a worker runs lies in its own copy of the project."""
    recorded = []
    real = dask_cluster.Cluster.__init__

    def recording(cluster, client):
        recorded.append(Recording(client))
        real(cluster, recorded[-1])

    monkeypatch.setattr(dask_cluster.Cluster, "__init__", recording)
    assert not extract.extract(*asked(sounds, tmp_path, **on(dask))).failures
    sent = recorded[0].sent
    assert sent
    for function, item in sent:
        received = Imports(pickle.dumps((function, item)))  # which refuses code: lambdas, inner functions
        received.load()
        assert {"pipeline"} <= received.packages <= SENT


def test_a_dask_cluster_gives_the_bytes_of_worker_processes(sounds, dask, by_processes, tmp_path):
    outcome = extract.extract(*asked(sounds, tmp_path, **on(dask)))
    assert outcome.clips == CLIPS
    assert not outcome.failures
    assert contents(tmp_path) == by_processes


def test_a_worker_that_is_killed_costs_no_clip(sounds, dask, by_processes, tmp_path):
    before = dask.pids()
    killing = InTheMiddle(tmp_path, before[0])
    outcome = extract.extract(*asked(sounds, tmp_path, **on(dask)))
    killing.join()
    assert 0 < killing.left < CLIPS
    assert outcome.clips == CLIPS
    assert not outcome.failures
    assert contents(tmp_path) == by_processes
    assert before[0] not in dask.pids()


def test_where_the_scheduler_is_lost_a_second_run_goes_on(sounds, dask, by_processes, tmp_path, capsys):
    """The last test of this module: the cluster ends here."""
    _, options = asked(sounds, tmp_path, **on(dask))
    killing = InTheMiddle(tmp_path, dask.scheduler.pid)
    assert extract.run(options) == 1
    killing.join()
    assert "stopped: the Dask scheduler was lost" in capsys.readouterr().err
    left = done(tmp_path)
    assert 0 < killing.left <= left < CLIPS
    with pytest.raises(RequestError, match="no Dask scheduler answers at SCHEDULER=tcp://"):
        extract.run(options)
    outcome = extract.extract(*asked(sounds, tmp_path, jobs=1))
    assert outcome.clips == CLIPS - left
    assert contents(tmp_path) == by_processes


class DeadlyClient:
    """A client whose cluster answers, or dies over one clip."""

    def ncores(self):
        return {"tcp://one": 1, "tcp://two": 2}

    def submit(self, function, item, pure):
        def result():
            if 1 in item.rows:
                raise distributed.KilledWorker("batch", SimpleNamespace(address="tcp://one"), 3)
            return function(item)

        return SimpleNamespace(result=result)


def test_only_the_clip_that_kills_every_worker_is_lost():
    from pipeline.job import ExtractionResult

    table = np.ones((3, 1), bool)
    batch = ClipBatch(np.arange(3), ["x"] * 3, [""] * 3, [(0, 0)] * 3, table, table.astype(np.uint64))
    cluster = dask_cluster.Cluster(DeadlyClient())
    assert cluster.processes == 3
    outcome = pool._call_or_split(cluster, lambda batch: ExtractionResult(clips=len(batch.rows)), batch)
    assert outcome.clips == 3
    ((row, _, reason),) = outcome.failures
    assert row == 1
    assert "one Dask worker after the other" in reason


def test_a_worker_that_sees_no_claim_is_reported_as_a_folder_that_is_not_shared():
    def gone(function, item, pure):
        def result():
            raise RunIsGone

        return SimpleNamespace(result=result)

    client = SimpleNamespace(ncores=dict, submit=gone)
    with pytest.raises(OSError, match="the folder has to be at the same path on all machines"):
        dask_cluster.Cluster(client).call(len, [])


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
    def wait_for_workers(count, timeout):
        if isinstance(theirs, TimeoutError):
            raise theirs

    def run(function):
        if isinstance(theirs, ModuleNotFoundError):
            raise theirs
        return theirs

    client = SimpleNamespace(wait_for_workers=wait_for_workers, run=run)
    with pytest.raises(RequestError, match=message):
        dask_cluster._refuse_unfit(client, "tcp://x:1")


def test_the_dask_backend_asks_for_its_scheduler():
    with (
        pytest.raises(RequestError, match="SCHEDULER=tcp://host:port"),
        pool.open_backend("dask", None, None),
    ):
        pass


def test_options_without_use_are_named():
    assert pool.unused_options("processes", 2, None) == []
    (jobs,) = pool.unused_options("dask", 2, "tcp://x:1")
    (scheduler,) = pool.unused_options("processes", None, "tcp://x:1")
    assert "JOBS" in jobs
    assert "SCHEDULER" in scheduler


def test_tls_without_certificates_is_refused_at_once():
    with (
        pytest.raises(RequestError, match="needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        dask_cluster.connected("tls://10.0.0.1:8786"),
    ):
        pass


@pytest.fixture
def certificates(tmp_path):
    """Settings below distributed.comm, by name of a key pair made as docs/howto/scale.md shows."""

    def settings(name):
        key, certificate = str(tmp_path / f"{name}.key"), str(tmp_path / f"{name}.pem")
        made = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cluster", "-keyout", key, "-out", certificate]
        subprocess.run(["openssl", "req", "-x509", *made], check=True, capture_output=True)
        found = {"require-encryption": True, "tls.ca-file": certificate}
        for role in ("client", "scheduler", "worker"):
            found |= {f"tls.{role}.cert": certificate, f"tls.{role}.key": key}
        return found

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return settings


def comm(settings):
    import dask

    return dask.config.set({f"distributed.comm.{name}": value for name, value in settings.items()})


def test_certificates_that_cannot_be_used_are_named_before_anybody_is_called(certificates):
    own, other = certificates("own"), certificates("other")
    absent = own | {"tls.client.cert": "/absent.pem", "tls.client.key": "/absent.key"}
    mixed = own | {"tls.client.key": other["tls.client.key"]}
    for settings, told in (
        (absent, r"/absent\.pem, /absent\.key\): .*No such file"),
        (mixed, "values mismatch"),
    ):
        with comm(settings), pytest.raises(RequestError, match=f"TLS files .*{told}"):
            dask_cluster._tell_of_trust("tls://10.0.0.1:8786")
    with comm(own), pytest.raises(RequestError, match=r"give tls://10\.0\.0\.1:8786"):
        dask_cluster._tell_of_trust("tcp://10.0.0.1:8786")
    with comm(own):
        dask_cluster._tell_of_trust("tls://10.0.0.1:8786")


@pytest.mark.slow
def test_with_tls_the_certificate_is_needed(certificates, sounds, by_processes, tmp_path, monkeypatch):
    from tests.pipeline.local_dask import started

    own, other, data = certificates("own"), certificates("other"), tmp_path / "data"
    for name, value in own.items():
        words = name.upper().replace("-", "_").split(".")
        monkeypatch.setenv("__".join(["DASK_DISTRIBUTED", "COMM", *words]), str(value))
    with comm(own), started(tmp_path, workers=1, host="tls://127.0.0.1") as running:
        assert running.address.startswith("tls://")
        extract.extract(*asked(sounds, data, **on(running)))
        assert contents(data) == by_processes
        plain = running.address.replace("tls://", "tcp://")
        with comm({"require-encryption": None}), pytest.raises(RequestError, match="no Dask scheduler"):
            extract.extract(*asked(sounds, tmp_path / "plain", backend="dask", scheduler=plain))
        with comm(other), pytest.raises(RequestError, match="TLS certificate does not match"):
            extract.extract(*asked(sounds, tmp_path / "other", **on(running)))


def test_a_cluster_that_anybody_might_be_is_told(capsys):
    for scheduler, told in (("tcp://127.0.0.1:1", ""), ("tcp://10.9.9.9:1", "for trusted networks only")):
        dask_cluster._tell_of_trust(scheduler)
        assert told in capsys.readouterr().err


def test_a_scheduler_without_the_project_is_told():
    class Client:
        def ncores(self):
            return {"one": 1}

        def submit(self, *_, **__):
            raise RuntimeError("Error during deserialization of the task graph.")

    with pytest.raises(RequestError, match="start it in the project's folder"):
        dask_cluster.Cluster(Client()).call(print, 1)
