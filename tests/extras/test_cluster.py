"""A Dask cluster stores the same bytes as worker processes; a killed worker or
scheduler costs no clip.
"""

import os
import random
import signal
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from featurestack.base.errors import Failed, RequestError
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.reservations import ExtractionIsGone
from featurestack.pipeline import extract
from featurestack.pipeline.worker import WorkerDied
from tests.pipeline.extraction import contents, done, extracted, options
from tests.pipeline.noise_dataset import NoiseDataset
from tests.refusal import refused

dask = pytest.importorskip("dask")
distributed = pytest.importorskip(
    "distributed", reason="SCHEDULER needs the extra scale"
)
dask_cluster = pytest.importorskip("featurestack.extras.cluster")
Cluster = dask_cluster.Cluster
refuse_unfit = dask_cluster.refuse_unfit
FEATURES = ("harmonic", "mel", "zcr")
CLIPS = 40
MAPS = CLIPS * len(FEATURES)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds") / "sounds"
    return NoiseDataset(folder, random.Random(0), clips=CLIPS)


def given(data, **more):
    return {"data": data, "features": " ".join(FEATURES), "duration": 2.0} | more


def stored(data):
    cache = Cache(data / "sounds" / "features")
    return {name: contents(cache, name) for name in FEATURES}


def end_in_the_middle(data, end):
    """End something as soon as some clips are done; return their number."""
    until = time.monotonic() + 600
    left = 0
    while not left and time.monotonic() < until:
        time.sleep(0.005)
        left = done(data / "sounds" / "features", FEATURES)
    end()
    return left


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_loses_a_worker_and_then_its_scheduler(
    sounds, tmp_path, capsys
):
    """The first run loses a worker, the second the scheduler."""
    plain, first, second = (tmp_path / name for name in ("plain", "first", "second"))
    extracted(sounds, **given(plain))
    cluster = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    cluster["local_directory"] = tmp_path / "dask"
    with (
        ThreadPoolExecutor(1) as thread,
        distributed.LocalCluster(**cluster) as dask,
    ):
        on = {"scheduler": dask.scheduler_address}
        killed = dask.workers[0].pid
        kill = lambda: os.kill(killed, signal.SIGKILL)  # noqa: E731
        killing = thread.submit(end_in_the_middle, first, kill)
        outcome = extracted(sounds, **given(first, **on))
        assert 0 < killing.result() < MAPS
        assert (outcome.clips, outcome.failures) == (CLIPS, [])
        assert stored(first) == stored(plain)
        assert killed not in [worker.pid for worker in dask.workers.values()]
        chosen = options(sounds, **given(second, **on))
        killing = thread.submit(end_in_the_middle, second, dask.close)
        with pytest.raises(Failed, match="the Dask scheduler was lost"):
            extract.extract_features(chosen)
        left = killing.result()
        with refused("no Dask scheduler answers at SCHEDULER=tcp://"):
            extract.extract_features(chosen)
    assert 0 < left <= (left := done(second / "sounds" / "features", FEATURES)) < MAPS
    assert extracted(sounds, **given(second)).computed.total() == MAPS - left
    assert stored(second) == stored(plain)


def failing(error):
    """A client of three cores whose futures raise this."""
    client = Mock(ncores=lambda: {"tcp://one": 1, "tcp://two": 2})
    client.submit.return_value.result.side_effect = error
    return client


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (
            distributed.KilledWorker("batch", Mock(address="tcp://one"), 3),
            WorkerDied,
            None,
        ),
        (
            ExtractionIsGone(),
            Failed,
            "the folder has to be at the same path on all machines",
        ),
        (CancelledError(), Failed, "the Dask scheduler was lost"),
        (
            RuntimeError("Error during deserialization"),
            RequestError,
            "start it in the project's folder",
        ),
    ],
)
def test_what_goes_wrong_on_the_cluster_is_said_in_words_of_this_project(
    raised, kind, said
):
    cluster = Cluster(failing(raised))
    assert cluster.processes == 3
    with pytest.raises(kind, match=said):
        cluster.call(len, [])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (
            {"tcp://one": "librosa 0.1"},
            "the Dask worker tcp://one has librosa 0.1; expected librosa",
        ),
        (TimeoutError(), "no worker has joined tcp://x:1; .*dask worker tcp://x:1"),
    ],
    ids=["other versions", "no worker"],
)
def test_a_cluster_that_is_not_fit_is_refused_before_it_works(theirs, message):
    with refused(message):
        refuse_unfit(Mock(run=Mock(side_effect=[theirs])), "tcp://x:1")
