"""What bad input gets, literally: a fault in a small world, a command, its exit status and its words.

Requests that are wrong in themselves (typos, numbers out of bounds), and more damaged files, stand in
tests/golden/refusals.py.
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
from tests.golden.commands import command, flip_bit, inside

RATE = 8000
CLIP = Path("sounds/low/c1.wav")
CACHE = Path("data/sounds/features")
RUN = Path("runs/sounds/rms+zcr-linear")
FEATURES = "pipeline features DATASET=sounds FEATURES='rms zcr' JOBS=1"
VERIFY = "features_cache verify DATASET=sounds"
TRAIN = "train run DATASET=sounds FEATURES=rms+zcr MODEL=linear TAG=again FOLDS=1"
PREDICT = f"train predict {RUN} AUDIO=sounds/low"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Sixteen clips of two classes, their cache, one run."""
    folder = tmp_path_factory.mktemp("world")
    chance = np.random.default_rng(0)
    for label, level in (("low", 0.01), ("loud", 0.5)):
        (folder / "sounds" / label).mkdir(parents=True)
        for number in range(8):
            noise = level * chance.uniform(-1, 1, RATE // 4)
            soundfile.write(folder / f"sounds/{label}/c{number}.wav", noise, RATE)
    with inside(folder):
        for words in (FEATURES, TRAIN.replace(" TAG=again FOLDS=1", "")):
            answer = command(words)
            assert answer.status == 0, answer.err
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


def audio(content):
    """A clip's file is one of these bytes, or is gone."""
    return lambda: CLIP.write_bytes(content) if content is not None else CLIP.unlink()


def sound(values, subtype="PCM_16"):
    return lambda: soundfile.write(CLIP, values, RATE, subtype=subtype)


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


NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, RATE // 4)
FAULTS: dict[str, tuple[Callable[[], object], str, int, str]] = {
    # fault: (what makes it, the command, its exit status, words that it must say)
    "an empty clip": (audio(b""), FEATURES, 1, "low/c1 empty"),
    "a truncated clip": (cut(CLIP, 600), FEATURES, 1, "low/c1 truncated"),
    "a clip that is text": (audio(b"not audio at all"), FEATURES, 1, "low/c1"),
    "a clip of NaN": (sound(np.full(2000, np.nan), "FLOAT"), FEATURES, 1, "low/c1 NaN"),
    "a FIFO for a clip": (in_place_of(CLIP, os.mkfifo), FEATURES, 1, "low/c1"),
    "a stereo clip": (sound(np.stack([NOISE, NOISE], 1), "PCM_24"), FEATURES, 0, "16 clips"),
    "silence": (sound(np.zeros(2000)), FEATURES, 0, "16 clips"),
    "one sample": (sound(np.ones(1)), FEATURES, 0, "16 clips"),
    "a feature that cannot be": (bool, FEATURES.replace("rms zcr", "cqt"), 2, "cqt Hz"),
    "a flipped bit, trained on": (flip, TRAIN, 0, "1 clip left out damaged"),
    "a flipped bit, computed again": (flip, FEATURES, 0, "1"),
    "a cut file, verified": (cut(CACHE / "rms.h5", 5000), VERIFY, 1, "rms.h5 cannot be read"),
    "a cut file, computed again": (cut(CACHE / "rms.h5", 5000), FEATURES, 0, "rms"),
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
    command(FEATURES)
    (row,) = (CACHE / "failures.csv").read_text().splitlines()[1:]
    assert row.startswith("low/c1,") and "empty" in row
    answer = command(VERIFY)
    assert answer.status == 0 and "15 clips intact, 1 not done" in answer.out


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
