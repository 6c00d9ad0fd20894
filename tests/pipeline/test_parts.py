"""PART=k/n: parts that run at once, as in a job array, make the cache of one run."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from featurestack.pipeline.extract import extract_features as extract_run
from tests.pipeline.extraction import cache, extracted, options, run, stored

PARTS = 3  # eight clips divide into parts of 2, 3 and 3


def fill(sounds, part):
    """Run a job of the array; return the number of its clips."""
    return extracted(sounds, part=f"{part}/{PARTS}").clips


def test_a_part_names_the_clips_and_parts_that_are_missing(sounds, capsys):
    extract_run(options(sounds, part="2/3"))
    shown = capsys.readouterr().out
    assert (
        "5 of 8 clips are still missing (PART=1/3 3/3)\nnext: make features " in shown
    )
    for part in ("1/3", "3/3"):
        extract_run(options(sounds, part=part))
    shown = capsys.readouterr().out
    assert "3 of 8 clips are still missing (PART=3/3)\n" in shown
    assert shown.splitlines()[-1].startswith("next: make check ")


def test_parts_at_once_make_the_cache_that_one_run_makes(sounds):
    # a spawned process loads its libraries anew
    forked = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(PARTS, forked) as jobs:
        done = list(jobs.map(fill, [sounds] * PARTS, range(1, PARTS + 1)))
    assert done == [2, 3, 3]
    assert run(sounds) == {"rms": 0, "zcr": 0}
    by_parts = stored(sounds, "rms")
    (cache(sounds).folder / "rms.h5").unlink()
    assert run(sounds) == {"rms": 8, "zcr": 0} and stored(sounds, "rms") == by_parts
