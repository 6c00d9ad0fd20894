"""Split of one cache, as an array of jobs fills them: prepared once, four at the same time, nothing twice."""

import multiprocessing
import random

import numpy as np
import pytest

from features_cache import Cache
from pipeline.extract import extract, request, run
from pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

PARTS = 4
FEATURES = ("mel", "rms")
CLIPS = 30  # no multiple of the parts


@pytest.fixture
def sounds(tmp_path):
    return ChangingDataset(tmp_path / "sounds", random.Random(0), clips=CLIPS)


def options(sounds, data, **given):
    return FeaturesCommand(
        dataset=str(sounds.csv),
        data=data,
        features=" ".join(FEATURES),
        sample_rate=SAMPLE_RATE,
        duration=1.0,
        jobs=1,
        **given,
    )


def files(data):
    cache = Cache(data / "sounds" / "features")
    return {name: cache[name] for name in FEATURES}


def contents(data):
    return {
        name: (file.map().tobytes(), file.map(state=True).tobytes()) for name, file in files(data).items()
    }


def fill(part, sounds, data, ready, told):
    """What a job of the array does, begun at the same moment as the others."""
    ready.wait()
    chosen = options(sounds, data, part=f"{part}/{PARTS}")
    outcome = extract(request(chosen, chosen.part), chosen)
    told.put((part, outcome.clips, len(outcome.failures)))


def at_once(sounds, data):
    """All parts in processes of their own; clips that each did."""
    forked = multiprocessing.get_context("fork")  # a spawned one loads its libraries anew
    ready, told = forked.Barrier(PARTS), forked.Queue()
    jobs = [
        forked.Process(target=fill, args=(part, sounds, data, ready, told)) for part in range(1, PARTS + 1)
    ]
    for job in jobs:
        job.start()
    found = {part: (clips, failures) for part, clips, failures in (told.get(timeout=60) for _ in jobs)}
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * PARTS
    assert all(failures == 0 for _, failures in found.values())
    return [found[part][0] for part in sorted(found)]


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "not prepared"])
def test_four_parts_at_once_make_the_cache_that_one_run_makes(sounds, tmp_path, prepared):
    data = tmp_path / "parts"
    if prepared:
        assert run(options(sounds, data, prepare=True)) == 0
        assert not any(file.map(state=True).any() for file in files(data).values())
        inodes = {name: file.path.stat().st_ino for name, file in files(data).items()}
    assert at_once(sounds, data) == [7, 8, 7, 8]
    whole = options(sounds, tmp_path / "whole")
    extract(request(whole), whole)
    assert contents(data) == contents(tmp_path / "whole")
    if prepared:  # filled where they lay: no part made a file anew
        assert inodes == {name: file.path.stat().st_ino for name, file in files(data).items()}
    assert not list((data / "sounds" / "features" / "locks").glob("run-*"))
    again = options(sounds, data)
    assert extract(request(again), again).clips == 0
    assert np.all(Cache(data / "sounds" / "features").readable(FEATURES))
