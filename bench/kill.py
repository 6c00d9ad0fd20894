"""Kill the extraction at random moments and look what is left: `python -m bench.kill --kills 1000`.

Each round lets something happen to a dataset (bench/changing.py), starts a run with two worker processes and
kills it: all of it or its parent alone, at a random time or at a random line of `features_cache`, so that
creation, copying for new clips and index writing get their share. Then every file must open, every clip that
counts as done must be bit-identical to what an undisturbed run makes of it and stand under its own id, and a
second run must compute exactly what is missing. Runs and workers are forked from a process that has the
libraries loaded, or a round would take seconds; nothing else differs from a user's run.
"""

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import features_cache
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import progress
from features_cache.hdf5 import DamagedFile
from features_cache.index import feature_files, read_index
from features_cache.layout import (
    FINGERPRINT,
    LOCKS,
    FeatureFile,
    clip_keys,
    feature_key,
    fingerprints,
    read_header,
)
from features_cache.writer import to_stored
from pipeline import audio, pool
from pipeline.clip import Clip
from pipeline.extract import extract, request
from pipeline.features import resolve_feature
from pipeline.options import FeaturesCommand
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset
from tests.pipeline.shared_memory import left_behind

PARENT_ALONE = 0.25  # of the kills; the others take the workers along
AT_A_LINE = 0.5  # of the kills; the others come at a time
IN_A_WORKER = 0.5  # of those at a line; the others are at one of the run itself
WORKER_LINES = 1000  # of the protocol, that a worker comes through in a run with all to do
PATIENCE = 600  # seconds before a run counts as hanging: many on a machine that is busy otherwise
PROTOCOL = str(Path(features_cache.__file__).parent)


@dataclass(frozen=True, kw_only=True)
class KillOptions(Options):
    """How long the soak is."""

    kills: int = option(1000, "SIGKILLs")
    seed: int = option(0, "of everything that is random")
    without_calls: bool = option(False, "as on a system without pwrite and posix_fallocate")


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    mid_run: int = 0  # kills that came before the run had ended
    resumed: int = 0
    unopened: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(
        default_factory=list
    )  # second runs that failed or did other work than was missing
    survivors: int = 0  # workers that were alive a second after their parent

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.mid_run} of them in the middle of a run: {len(self.unopened)} files "
            f"that did not open, {len(self.wrong)} wrong clips, {self.resumed} resumed, "
            f"{self.survivors} workers that outlived their parent"
        )

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, wrong or stuck."""
        return self.resumed == self.kills and not (self.unopened or self.wrong or self.survivors)


class Soak:
    """Rounds of change, kill, look and second run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.folder, self.tally = random.Random(seed), folder, Tally()
        self.sounds = ChangingDataset(folder / "sounds", self.rng)
        self.cache = folder / "data" / "sounds" / "features"
        self.reference = cache(self._reference)
        begun = time.perf_counter()
        first = _ended(_start(self.options), PATIENCE)
        assert first and not first["failures"], first
        self.seconds, self.lines = time.perf_counter() - begun, first["lines"]  # of a run, about

    @property
    def options(self) -> FeaturesCommand:
        """Of the run that the dataset needs now."""
        return FeaturesCommand(
            dataset=str(self.sounds.csv),
            data=self.folder / "data",
            features=" ".join(sorted(self.sounds.features)),
            dtype="float16" if self.sounds.dtype == "float16" else "float32",
            sample_rate=SAMPLE_RATE,
            duration=1.0,
            jobs=2,
        )

    def round(self) -> None:
        """One kill and a look at what it left; a second run and a look at what it made."""
        what, alone = self.sounds.change(), self.rng.random() < PARENT_ALONE
        where = f"kill {self.tally.kills}, {what}, {'parent alone' if alone else 'all'}"
        if self.rng.random() < AT_A_LINE:
            in_worker = self.rng.random() < IN_A_WORKER
            line = self.rng.randrange(WORKER_LINES if in_worker else self.lines)
            run = _start(self.options, kill_at=line, in_worker=in_worker, alone=alone)
        else:
            run = _start(self.options)
            time.sleep(self.rng.random() * self.seconds)
            (os.kill if alone else os.killpg)(run[0], signal.SIGKILL)
        self.tally.kills += 1
        self.tally.mid_run += _ended(run, PATIENCE) is None
        missing = self.look(where, alone)
        begun = time.perf_counter()
        second = _ended(_start(self.options), PATIENCE)
        self.seconds += 0.2 * (time.perf_counter() - begun - self.seconds)
        if alone:
            self.tally.survivors += _members(run[0])
        left = self._missing(where)
        if second is None or second["failures"] or left or missing not in (None, second["computed"]):
            self.tally.stuck.append(f"{where}: {missing} missing, second run {second}, then {left} missing")
        else:
            self.tally.resumed += 1

    def look(self, where: str, alone: bool) -> int | None:
        """How many feature maps a kill left to compute; None where that is not settled yet."""
        return None if alone else self._missing(where)  # orphans may still finish a clip

    def _missing(self, where: str) -> int:
        """How many feature maps are to be computed; whatever is done is compared with what it should be."""
        done: dict[str, set[str]] = {}
        for path in feature_files(self.cache):
            try:
                file = read_header(path)
                done[path.stem] = self._sound(file, where)
            except DamagedFile as damage:
                self.tally.unopened.append(f"{where}: {damage}")
        self._look_at_labels(where)
        return sum(len(self.sounds.now.keys() - done.get(name, set())) for name in self.sounds.features)

    def _sound(self, file: FeatureFile, where: str) -> set[str]:
        """Ids of the clips that hold what the dataset asks for now; those done and wrong are noted."""
        states, values, current = file.map(state=True), file.map(), set()
        for row in np.flatnonzero(states):
            clip = file.clip_ids[row].decode()
            content = self._content(file, clip, int(states[row] >> FINGERPRINT))
            right = content and self.reference(file.path.stem, content, file.dtype.name)
            if values[row].tobytes() != right:
                self.tally.wrong.append(f"{where}: {file.path.name} {clip}")
            elif content == self.sounds.now.get(clip) and file.dtype.name == self.sounds.dtype:
                current.add(clip)
        return current

    def _content(self, file: FeatureFile, clip: str, fingerprint: int) -> str | None:
        """Which of the contents that this clip ever had the fingerprint speaks of."""
        contents = self.sounds.contents.get(clip, [])
        table = pd.DataFrame({"clip_id": clip, "alteration": "", "source_hash": contents})
        told = fingerprints(clip_keys(table), feature_key(file.attributes, file.attributes))
        return next((one for one, other in zip(contents, told, strict=True) if other == fingerprint), None)

    def _reference(self, feature: str, content: str, dtype: str) -> bytes:
        """What an undisturbed run stores for one clip."""
        y = audio.load_clip(self.sounds.audio(content), SAMPLE_RATE, SAMPLE_RATE)
        values = resolve_feature(features_cache.names.parse_channel(feature)).compute(Clip(y, SAMPLE_RATE))
        return to_stored(values, values.shape, np.dtype(dtype)).tobytes()

    def _look_at_labels(self, where: str) -> None:
        try:
            clips, _ = read_index(self.cache)
        except DamagedFile as damage:
            self.tally.unopened.append(f"{where}: {damage}")
            return
        for clip, label in zip(clips["clip_id"], clips["label"], strict=True):
            if label not in self.sounds.labels[clip]:
                self.tally.wrong.append(f"{where}: {clip} labelled {label}")


def _start(
    options: FeaturesCommand, *, kill_at: int | None = None, in_worker: bool = False, alone: bool = False
) -> tuple[int, int]:
    """(process, pipe) of a run in a process group of its own, which tells at its end what it did."""
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        with contextlib.suppress(OSError):  # the child was quicker, or is gone already
            os.setpgid(process, process)
        return process, read
    try:
        os.setpgid(0, 0)  # by both sides, so that the group is there whoever runs first
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.register_at_fork(after_in_child=_close_locks)
        tqdm.set_lock(threading.RLock())  # its own is shared by forked processes: one that is killed keeps it
        counted = _Lines(kill_at, in_worker=in_worker, alone=alone)
        sys.settrace(counted)
        outcome = extract(request(options), options)
        sys.settrace(None)
        told = {
            "computed": int(np.sum(outcome.computed)),
            "failures": outcome.failures,
            "lines": counted.seen,
        }
    except BaseException as error:
        told = {"computed": -1, "failures": [repr(error)], "lines": 0}
    os.write(write, json.dumps(told).encode())
    os._exit(0)


def _ended(run: tuple[int, int], patience: float) -> dict[str, Any] | None:
    """What the run told at its end, None where it was killed."""
    process, read = run
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read() if _waited(process, patience) else b""
    return json.loads(told) if told else None


def _waited(process: int, patience: float) -> bool:
    """Whether the process ended by itself."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.WIFEXITED(status)
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return False


class _Lines:
    """A trace function that counts the protocol's lines in a run's main thread, and kills at one of them.

    A forked worker inherits it and counts its own.
    """

    def __init__(self, kill_at: int | None, *, in_worker: bool, alone: bool) -> None:
        self.seen, self.kill_at, self.in_worker, self.alone = 0, kill_at, in_worker, alone
        self.run = self.counting = os.getpid()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> "_Lines | None":
        if not frame.f_code.co_filename.startswith(PROTOCOL):
            return None
        if self.counting != os.getpid():
            self.counting, self.seen = os.getpid(), 0
        self.seen += event == "line"
        if self.seen == self.kill_at and self.in_worker == (self.counting != self.run):
            (os.kill if self.alone else os.killpg)(self.run, signal.SIGKILL)
        return self


def _close_locks() -> None:
    """In a forked worker: let go of the locks that a spawned one would never have had."""
    for link in list(Path("/proc/self/fd").iterdir()):
        if link.is_symlink() and link.readlink().parent.name == LOCKS:
            os.close(int(link.name))


def _members(group: int) -> int:
    """Living processes of a process group, a second from now at most."""
    for _ in range(20):
        living = sum(
            _group(process) == group for process in Path("/proc").iterdir() if process.name.isdecimal()
        )
        if not living:
            return 0
        time.sleep(0.05)
    return living


def _group(process: Path) -> int:
    try:
        state, _, group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return -1
    return -1 if state == "Z" else int(group)


def kill(options: KillOptions) -> int:
    """Kill extraction after extraction and count what that breaks."""
    pool.START_METHOD = "fork"
    if options.without_calls:
        del os.pwrite, os.posix_fallocate
    shared_memory = set(Path("/dev/shm").iterdir())
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        soak = Soak(Path(folder), options.seed)
        for _ in progress(range(options.kills), label="kill", unit="kills"):
            soak.round()
    print(soak.tally)
    for line in (*soak.tally.unopened, *soak.tally.wrong, *soak.tally.stuck)[:20]:
        print(f"  {line}")
    left = left_behind(shared_memory)
    print(f"left in /dev/shm: {', '.join(map(str, sorted(left))) or 'nothing'}")
    return 0 if soak.tally.clean else 1


if __name__ == "__main__":
    main([kill])
