"""Worker processes: they end with their parent, a killed one costs no clip, nothing is
left behind.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from featurestack.base.errors import Failed
from featurestack.features_cache.cache import Cache
from featurestack.pipeline import worker
from featurestack.pipeline.worker import ClipTask, ExtractionResult, WorkerDied, Workers
from tests.golden.commands import ROOT
from tests.pipeline.extraction import contents, done, extracted
from tests.pipeline.noise_dataset import NoiseDataset
from tests.refusal import refused

CLIPS = 24  # each takes some 50 ms, so that a kill comes in the middle
MAPS = ("mel", "harmonic")


def threads(item):
    import numba
    from threadpoolctl import threadpool_info

    np.ones((8, 8)) @ np.ones((8, 8))  # loads the libraries' threads
    counts = {library["num_threads"] for library in threadpool_info()}
    counts.add(numba.get_num_threads())
    return counts, os.environ["OMP_NUM_THREADS"]


def die_at_one(batch):
    if any(task.row == 1 for task in batch):
        os.kill(os.getpid(), signal.SIGKILL)
    return ExtractionResult(clips=len(batch))


def test_libraries_use_one_thread_in_a_worker(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with Workers(1) as workers:
        assert workers.call(threads, None) == ({1}, "1")
    assert "OMP_NUM_THREADS" not in os.environ


def test_only_the_clip_that_kills_its_worker_is_lost(forked_workers):
    with Workers(1) as workers:
        tasks = [ClipTask(row, "", "x", (0, 0), (0, 0), {}) for row in range(2)]
        outcome = workers.finish(die_at_one, tasks)
    assert outcome.clips == 2
    ((row, _, reason),) = outcome.failures
    assert row == 1 and "died repeatedly" in reason


@pytest.fixture(scope="module")
def noise_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "sounds"
    return NoiseDataset(folder, random.Random(0), clips=CLIPS)


@pytest.fixture
def started_extraction(noise_clips, tmp_path):
    """A run as a user starts it, with two workers, in a process group of its own."""
    words = (
        f"DATASET={noise_clips.csv} DATA={tmp_path} SAMPLE_RATE=44100 DURATION=5 JOBS=2"
    )
    words = ["features", f"FEATURES={' '.join(MAPS)}", *words.split()]
    with (tmp_path / "shown.txt").open("w") as shown:
        run = subprocess.Popen(
            [sys.executable, "-m", "featurestack", *words],
            cwd=ROOT,
            stdout=shown,
            stderr=shown,
            start_new_session=True,
        )
    yield run
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def wait_for(condition, seconds=600):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def runs(process):
    """Whether the process still runs; one that ended may stay in the table of
    processes.
    """
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_end_with_their_parent_and_a_second_run_goes_on(
    noise_clips, started_extraction, tmp_path
):
    """SIGKILL for the parent alone; then the cache is that of a run without a kill."""
    folder = tmp_path / "sounds" / "features"
    wait_for(lambda: done(folder, MAPS) > 5 or started_extraction.poll() is not None)
    everybody = psutil.Process(started_extraction.pid).children(recursive=True)
    tracker = "resource_tracker"
    spawned = [one for one in everybody if tracker not in " ".join(one.cmdline())]
    assert len(spawned) == 3  # two workers and the server that they were forked from
    os.kill(started_extraction.pid, signal.SIGKILL)
    started_extraction.wait()
    wait_for(lambda: not any(map(runs, spawned)))
    left = done(folder, MAPS)
    time.sleep(0.2)
    assert 0 < done(folder, MAPS) == left < 2 * CLIPS
    numbers = {
        str(process)
        for process in (started_extraction.pid, *(one.pid for one in spawned))
    }
    # joblib, torch and loky name files after the process
    for path in Path("/dev/shm").iterdir():
        assert not numbers & set(re.findall(r"\d+", path.name)), path
    given = {"sample_rate": 44100, "duration": 5.0}
    second = extracted(noise_clips, data=tmp_path, features=" ".join(MAPS), **given)
    assert second.computed.total() == 2 * CLIPS - left
    assert not list((folder / "locks").glob("run-*"))
    extracted(noise_clips, data=tmp_path / "whole", features="mel", **given)
    whole = contents(Cache(tmp_path / "whole" / "sounds" / "features"), "mel")
    assert len(whole) == CLIPS and contents(Cache(folder), "mel") == whole


def test_workers_that_never_start_end_the_run_with_what_to_do():
    with Workers(1) as workers:
        for _ in range(worker.MOST_FAILED_STARTS):
            workers.workers[0].process.kill()
            with pytest.raises(WorkerDied):
                workers.call(abs, -1)
        workers.workers[0].process.kill()
        with refused("JOBS=1"):
            workers.call(abs, -1)


def test_a_worker_that_cannot_start_ends_the_others_with_what_to_do(
    forked_workers, monkeypatch
):
    started = []
    fork = os.fork

    def fork_once():
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(fork())
        return started[0]

    monkeypatch.setattr(os, "fork", fork_once)
    with pytest.raises(Failed, match=r"temporarily unavailable\): JOBS=1 computes w"):
        Workers(2)
    assert not psutil.pid_exists(started[0])
