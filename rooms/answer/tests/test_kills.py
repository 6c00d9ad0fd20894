"""`answer` killed at random moments, and two at once, end with the undisturbed
answer.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.golden.commands import ROOT
from tests.golden.sounds import easy_clips

KILLS = 4
IN_A_ROW = 2  # kills before a command may end
LATEST = 0.6  # share of an undisturbed command's seconds


def start(place):
    """The command in a folder of its own, in a process group of its own."""
    words = ["answer", "DATASET=../easy", "NAME=easy", "FEATURES=rms zcr", "JOBS=1"]
    return subprocess.Popen(
        [sys.executable, "-m", "featurestack", *words],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines(process):
    """The answer's lines, without the place of the report."""
    out, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return [
        line for line in out[out.rindex("easy: ") :].splitlines() if "/" not in line
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder with the clips, the answer, and the seconds that it took."""
    place = tmp_path_factory.mktemp("answer")
    easy_clips(place / "easy")
    (place / "whole").mkdir()
    begun = time.monotonic()
    return place, lines(start(place / "whole")), time.monotonic() - begun


def files(place):
    """The predictions and the scores that a choice leaves."""
    names = (
        *place.glob("runs/*/answer/*.csv"),
        *place.glob("runs/*/*/fold*/pred*.csv"),
    )
    return {str(file.relative_to(place)): file.read_bytes() for file in names}


@pytest.mark.slow
def test_a_killed_answer_goes_on_to_the_undisturbed_one(undisturbed):
    place, expected, seconds = undisturbed
    rng = random.Random(0)
    killed = 0
    while killed < KILLS:  # a kill that comes too late does not count
        folder = Path(tempfile.mkdtemp(dir=place))
        for _ in range(IN_A_ROW):
            process = start(folder)
            time.sleep(rng.uniform(0, LATEST * seconds))
            killed += process.poll() is None
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert lines(start(folder)) == expected
        assert files(folder) == files(place / "whole")


@pytest.mark.slow
def test_two_answers_at_once_are_the_undisturbed_one(undisturbed):
    place, expected, _ = undisturbed
    (place / "both").mkdir()
    processes = [start(place / "both") for _ in range(2)]
    assert [lines(process) for process in processes] == [expected, expected]
    assert files(place / "both") == files(place / "whole")
