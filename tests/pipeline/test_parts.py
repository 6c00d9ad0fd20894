"""PART=k/n: parts at once, as a job array runs them, make the cache that one run makes."""

import multiprocessing

import pytest

from pipeline.extract import extract, request
from pipeline.extract import run as extract_run
from tests.pipeline.extraction import cache, options, run, stored

PARTS = 3  # of eight clips: no part as large as every other


def fill(sounds, part, ready, told):
    """What a job of the array does, begun at the same moment as the others."""
    ready.wait()
    chosen = options(sounds, part=f"{part}/{PARTS}")
    told.put((part, extract(request(chosen), chosen).clips))


def test_a_part_names_the_clips_and_parts_that_are_missing(sounds, capsys):
    for part, said in (
        ("2/3", "5 of 8 clips are still missing (PART=1/3 3/3)\nnext: "),
        ("1/3", "(PART=3/3)"),
    ):
        extract_run(options(sounds, part=part))
        shown = capsys.readouterr().out
        assert said in shown and "make features" in shown.splitlines()[-1] and "make sweep" not in shown
    extract_run(options(sounds, part="3/3"))
    assert "make sweep" in capsys.readouterr().out


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "not prepared"])
def test_parts_at_once_make_the_cache_that_one_run_makes(sounds, prepared):
    if prepared:
        run(sounds, prepare=True)
        assert not cache(sounds).readable(["rms", "zcr"]).any()
        inodes = [cache(sounds)[name].path.stat().st_ino for name in ("rms", "zcr")]
    forked = multiprocessing.get_context("fork")  # a spawned one loads its libraries anew
    ready = forked.Barrier(PARTS)
    told = forked.Queue()
    jobs = [forked.Process(target=fill, args=(sounds, part, ready, told)) for part in range(1, PARTS + 1)]
    for job in jobs:
        job.start()
    done = dict(told.get(timeout=60) for _ in jobs)
    for job in jobs:
        job.join()
    assert ([job.exitcode for job in jobs], done) == ([0] * PARTS, {1: 2, 2: 3, 3: 3})
    if prepared:  # filled where they lay: no part made a file anew
        assert inodes == [cache(sounds)[name].path.stat().st_ino for name in ("rms", "zcr")]
    assert run(sounds, wait=True) == {"rms": 0, "zcr": 0}
    by_parts = stored(sounds, "rms")
    (cache(sounds).folder / "rms.h5").unlink()
    assert run(sounds) == {"rms": 8, "zcr": 0} and stored(sounds, "rms") == by_parts
