"""What bad input gets, literally: a fault in a small world, a command, its exit status and its words.

Requests that are wrong in themselves (typos, numbers out of bounds), and more damaged files, stand in
tests/golden/refusals.py; audio that is converted or padded is among the golden caches.
"""

import errno
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features_cache.feature_file import read_header
from tests.golden.commands import command, done, flip_bit, inside
from tests.golden.sounds import easy_clips

CLIP = Path("sounds/bell/bell0-A.wav")
CACHE = Path("data/sounds/features")
RUN = Path("runs/sounds/rms+zcr-linear")
FEATURES = "pipeline features DATASET=sounds FEATURES='rms zcr' JOBS=1"
VERIFY = "features_cache verify DATASET=sounds"
TRAIN = "train run DATASET=sounds FEATURES=rms+zcr MODEL=linear TAG=again FOLDS=1"
PREDICT = f"train predict {RUN} AUDIO=sounds/bell"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """48 clips of four classes, their cache, one run."""
    with inside(tmp_path_factory.mktemp("world")) as folder:
        easy_clips(Path("sounds"))
        done(FEATURES)
        done(TRAIN.replace(" TAG=again FOLDS=1", ""))
    return folder


@pytest.fixture
def copy(world):
    """The world to spoil, in its place, since a cache knows where its sounds lie."""
    kept = world.with_name("kept")
    if not kept.exists():
        shutil.copytree(world, kept)
    shutil.rmtree(world)
    shutil.copytree(kept, world)
    with inside(world):
        yield world


def no_numbers():
    soundfile.write(CLIP, np.full(2000, np.nan), 8000, subtype="FLOAT")


def cut(path, length):
    return lambda: path.write_bytes(path.read_bytes()[:length])


def in_place_of(path, make):
    def replace():
        path.unlink()
        make(path)

    return replace


def flip():
    """A bit of the third clip's values in a feature's file."""
    file = read_header(CACHE / "rms.h5")
    flip_bit(file.path, file.values_offset + 2 * file.clip_bytes)


def pack():
    """An exported cache with a file for another folder."""
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("../outside.wav", b"")
        archive.writestr("index.h5", b"")


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ran",)


FAULTS: dict[str, tuple[Callable[[], object], str, int, str]] = {
    # fault: (what makes it, the command, its exit status, words that it must say)
    "a truncated clip": (cut(CLIP, 600), FEATURES, 1, "bell/bell0-A truncated"),
    "a clip that is text": (lambda: CLIP.write_text("not audio at all"), FEATURES, 1, "bell/bell0-A"),
    "a clip of NaN": (no_numbers, FEATURES, 1, "bell/bell0-A NaN"),
    "a FIFO for a clip": (in_place_of(CLIP, os.mkfifo), FEATURES, 1, "bell/bell0-A"),
    "a flipped bit, trained on": (flip, TRAIN, 0, "1 clip left out damaged"),
    "a cut file, verified": (cut(CACHE / "rms.h5", 5000), VERIFY, 1, "rms.h5 cannot be read"),
    "no index": ((CACHE / "index.h5").unlink, TRAIN, 2, "there are no features make features"),
    "a FIFO for a feature": (
        in_place_of(CACHE / "rms.h5", os.mkfifo),
        FEATURES,
        2,
        "rms.h5 no ordinary file",
    ),
    "a cache that leaves": (
        pack,
        "features_cache import a.zip DATASET=new",
        2,
        "outside.wav no file of a cache",
    ),
    "code in a checkpoint": (
        lambda: (RUN / "fold1" / "last.pt").write_bytes(pickle.dumps(Code())),
        PREDICT,
        2,
        "last.pt",
    ),
    "a file for the data": (Path("taken").touch, FEATURES + " DATA=taken", 2, "taken Not a directory"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_gets_its_answer(copy, fault):
    make, words, status, said = FAULTS[fault]
    make()
    answer = command(words)
    assert answer.status == status, answer.out + answer.err
    for word in said.split():
        assert word in answer.out + answer.err
    assert not Path("ran").exists()


def test_a_failed_clip_is_listed_with_its_reason_and_every_other_is_done(copy):
    CLIP.write_bytes(b"")
    answer = command(FEATURES)
    assert answer.status == 1 and "bell/bell0-A" in answer.err + answer.out
    (row,) = (CACHE / "failures.csv").read_text().splitlines()[1:]
    assert row.startswith("bell/bell0-A,") and "empty" in row
    answer = command(VERIFY)
    assert answer.status == 0 and "47 clips intact, 1 not done" in answer.out


def test_a_full_disk_is_a_clean_stop_and_a_second_run_goes_on(copy, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    more = FEATURES.replace("rms zcr", "rms zcr flatness")
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        answer = command(more)
        assert answer.status == 1 and "flatness.h5" in answer.err and "No space left" in answer.err
    assert not (CACHE / "flatness.h5").exists() and command(VERIFY).status == 0
    assert command(more).status == 0
