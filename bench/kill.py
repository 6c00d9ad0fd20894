"""SIGKILL at random moments of a command: what is lost or changes.

    python -m bench.kill                 extraction, by two worker processes
    python -m bench.kill WHAT=train      training; or answer, analysis, run, dataset

A command is run once undisturbed. Then it is killed several times, all of it or only
its parent, at a random time or at a random line of the code that writes. After each
kill every table and every feature file must open, and what counts as done must equal
the undisturbed result, to the byte. The command is then run once more, and must leave
what the undisturbed one left, but for measured seconds.
"""

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import psutil
from tqdm import tqdm

import featurestack
from bench.processes import Lines, ended, forked, status_of
from bench.record import bench
from featurestack.base.options import Options, option
from featurestack.base.own_files import NO_DATA, RECORD
from featurestack.base.terminal import progress
from featurestack.pipeline import worker
from tests.golden.sounds import easy_clips

# Python finds the packages here: `featurestack` links to their folders
PACKAGES = Path(featurestack.__file__).parent
WRITERS = (
    "features_cache/",
    "base/files.py",
    "base/own_files.py",
    "results/",
    "train/checkpoint.py",
)
WRITING = tuple(f"{PACKAGES}/{place}" for place in WRITERS)
PARENT_ALONE, AT_A_LINE, IN_A_WORKER = 0.25, 0.5, 0.5  # probabilities
IN_A_ROW = (1, 1, 2, 3)  # kills before a command may end
SOUNDS = "DATASET={made}/easy.csv AUDIO_DIR={made}/easy"
FEATURES = "features " + SOUNDS + " DATA={place}/data FEATURES=mel\\ rms\\ zcr"
MADE = "DATASET={made}/data/easy/features RUNS={made}/runs"
CACHED = "DATASET={made}/data/easy/features RUNS={place}/runs"
PLACES = "RUNS={place}/runs REPORTS={place}/reports"
CARRIED = "PATIENCE=5 AUGMENT=mask,shift,gain,mixup=0.4"
STEPS = "GRID=64x108 BATCH=8 PRECISION=fp32 THREADS=1 DEVICE=cpu"
TRAIN = f"train {CACHED} FEATURES=mel {STEPS}"
RUN = "RUN={place}/runs/easy/rms-linear DATA={made}/data"
# what is killed -> its variants; {made} is made before, {place} is filled
COMMANDS = {
    "features": (
        f"{FEATURES} JOBS=2 DTYPE=float32",
        f"{FEATURES}\\ waveform\\ mfcc JOBS=2",
    ),
    "train": (
        f"{TRAIN} MODEL=cnn8@width=4 EPOCHS=6 FOLDS=1 AUGMENT=none",
        f"{TRAIN} MODEL=cnn8@width=4 EPOCHS=6 VAL=group FOLDS=1 {CARRIED}",
        f"{TRAIN} MODEL=texturenet EPOCHS=6 AUGMENT=mask,shift FOLDS=1",
        f"{TRAIN} MODEL=cnn8@width=4 EPOCHS=4 VAL=next {CARRIED}",
        f"train {CACHED} FEATURES=mel MODEL=linear",
    ),
    "answer": (f"answer {SOUNDS} FEATURES=rms\\ zcr DATA={{place}}/data {PLACES}",),
    "analysis": (f"analysis {MADE} REPORTS={{place}}/reports",),
    # what reads a run, of which each round has a copy
    "run": (
        f"stress {RUN} THREADS=1",
        f"bundle {RUN} OUT={{place}}/model.bundle.pt",
        f"predict {RUN} AUDIO={{made}}/easy OUT={{place}}/of.csv",
        f"predict {RUN} AUDIO={{made}}/easy/bell CHECK=9 OUT={{place}}/check",
    ),
    # what describes, makes or measures a dataset
    "dataset": (
        f"importance {CACHED} FEATURES=rms\\ zcr",
        f"curve {CACHED} FEATURES=rms\\ zcr",
        f"check {SOUNDS} DATA={{place}}/data",
        "windows AUDIO={made}/easy TABLES={made}/tables DATA={place}/data",
    ),
}
COMPARED = (".csv", ".json", ".pt", ".h5")
# seconds and times, and the records of what is ours, which hash them
MEASURED = ("verified.csv", RECORD, NO_DATA)


class KillOptions(Options):
    """Kind and length of the soak."""

    what: Literal["features", "train", "answer", "analysis", "run", "dataset"] = option(
        "features", "what is killed"
    )
    kills: int = option(1000, "SIGKILLs")
    seed: int = option(0, "seed of everything random")


def started(text: str, lines: Lines | None = None, counted: Path | None = None) -> int:
    """Start a command and return its process id; `counted` gets the count of lines."""

    def close_locks() -> None:  # in a forked worker: a spawned one would not have them
        for link in list(Path("/proc/self/fd").iterdir()):
            if link.is_symlink() and link.readlink().parent.name == "locks":
                os.close(int(link.name))

    def work() -> int:
        os.register_at_fork(after_in_child=close_locks)
        # forked processes share tqdm's own, which a killed one would keep
        tqdm.set_lock(threading.RLock())
        if lines:
            lines.begin()
        status = status_of(shlex.split(text))
        if lines and counted:
            counted.write_text(str(lines.seen))
        return status

    return forked(work)


def lives(group: int) -> bool:
    """Whether a process group still has a member after a second."""
    for _ in range(20):
        living = False
        for process in psutil.process_iter(["status"]):
            with contextlib.suppress(OSError):
                own = os.getpgid(process.pid) == group
                living |= own and process.info["status"] != "zombie"
        if not living:
            return False
        time.sleep(0.05)
    return True


class Soak:
    """Rounds of kills of one command, a last run, and comparison of what it wrote."""

    def __init__(self, folder: Path, seed: int, what: str) -> None:
        self.rng, self.folder, self.what = random.Random(seed), folder, what
        self.kills = self.mid_run = self.ended_well = self.findings = 0
        easy_clips(folder / "easy")
        made = [FEATURES.format(made=folder, place=folder)]
        (folder / "tables").mkdir()
        for sound in sorted((folder / "easy").rglob("*-A.wav")):
            mark = f"0.1\t0.4\t{sound.parent.name}\n"
            (folder / "tables" / f"{sound.stem}.txt").write_text(mark)
        if what in ("analysis", "run"):
            trained = f"train {CACHED} MODEL=linear FEATURES=rms\\ zcr"
            made.append(trained.format(made=folder, place=folder))
        if what not in ("features", "answer"):
            for text in made:
                assert ended(started(text)) == 0, text
        # variant -> its exit status, what it writes, seconds, lines that write
        self.known: dict[str, tuple[int, dict[str, Any], float, int]] = {}
        place, counted = folder / "place", folder / "lines"
        for variant in COMMANDS[what]:
            self.prepare(place)
            begun = time.perf_counter()
            process = self.start(variant, place, Lines(WRITING), counted)
            status = ended(process)
            assert status in (0, 1), variant  # a check that finds something ends with 1
            seconds, lines = time.perf_counter() - begun, int(counted.read_text())
            self.known[variant] = status, written(place), seconds, lines
            shutil.rmtree(place)

    def note(self, finding: str) -> None:
        self.findings += 1
        print(f"kill {self.kills}, {self.what}: {finding}", flush=True)

    def start(self, variant: str, place: Path, *lines: Any) -> int:
        return started(variant.format(made=self.folder, place=place), *lines)

    def prepare(self, place: Path) -> None:
        """Copy the run that a command reads."""
        if self.what == "run":
            shutil.copytree(self.folder / "runs", place / "runs")

    def round(self) -> None:
        """Kill a variant once or several times, let it end, compare."""
        place, variant = self.folder / "place", self.rng.choice([*self.known])
        usual, expected, _, _ = self.known[variant]
        self.prepare(place)
        for _ in range(self.rng.choice(IN_A_ROW)):
            alone = self.rng.random() < PARENT_ALONE
            self.kill(variant, place, alone=alone)
            if not alone:  # orphans of a killed parent may still finish a clip
                self.compare(expected, place)
        status = ended(self.start(variant, place))
        left = written(place)
        names = sorted(expected.keys() | left.keys())
        other = [name for name in names if expected.get(name) != left.get(name)]
        if status != usual or other:
            self.note(f"exit status {status}, other than undisturbed: {other}")
        self.ended_well += status == usual and not other
        shutil.rmtree(place)

    def kill(self, variant: str, place: Path, *, alone: bool) -> None:
        """Start it, and kill it at a line or at a time."""
        usual, _, seconds, lines = self.known[variant]
        if self.rng.random() < AT_A_LINE:
            in_worker = self.what == "features" and self.rng.random() < IN_A_WORKER
            line = self.rng.randrange(1, lines + 1)
            process = self.start(variant, place, Lines(WRITING, line, in_worker, alone))
        else:
            process = self.start(variant, place)
            time.sleep(self.rng.random() * seconds)
            with contextlib.suppress(ProcessLookupError):  # it has ended
                (os.kill if alone else os.killpg)(process, signal.SIGKILL)
        self.kills += 1
        status = ended(process)
        self.mid_run += status == -signal.SIGKILL
        if status not in (usual, -signal.SIGKILL):
            self.note(f"exit status {status}")
        if alone and lives(process):
            self.note("a child outlived its parent")

    def compare(self, expected: dict[str, Any], place: Path) -> None:
        """What counts as done after a kill has to be what the undisturbed one made."""
        for file in place.rglob("*"):
            name = str(file.relative_to(place))
            if file.suffix != ".h5" and file.name != "predictions.csv":
                continue
            try:
                found = contents(file, place)
            except (OSError, KeyError) as error:
                self.note(f"{name} does not open: {error}")
                continue
            whole = expected.get(name, {})
            if file.suffix == ".h5":  # the clips that are done
                whole = {clip: whole.get(clip) for clip in found}
            if found != whole:
                self.note(f"{name} holds something else")


def written(place: Path) -> dict[str, Any]:
    """The contents of the files in a folder, without what is measured."""
    return {
        str(file.relative_to(place)): contents(file, place)
        for file in place.rglob("*")
        if file.suffix in COMPARED and file.name not in MEASURED
    }


def contents(file: Path, place: Path) -> Any:
    """A file's content without seconds and folders, for comparison."""
    if file.suffix == ".h5":
        with h5py.File(file) as opened:
            if "state" not in opened:
                return {}
            ids, states, values = (
                opened[name][:] for name in ("clip_id", "state", "values")
            )
        return {ids[row]: values[row].tobytes() for row in np.flatnonzero(states)}
    if file.name == "history.csv":
        return pd.read_csv(file).drop(columns="seconds").to_csv()
    if file.suffix == ".json":
        text = file.read_text().replace(str(place), "")
        return json.loads(text, object_hook=lambda keys: keys | {"seconds": None})
    if file.suffix != ".pt":
        return file.read_bytes().replace(str(place).encode(), b"")
    import torch

    state = torch.load(file, weights_only=True) | {"rows": None}
    if "network" not in state:  # a bundle
        return file.read_bytes()
    network = state.pop("network")
    return {name: own.numpy().tobytes() for name, own in network.items()}, repr(state)


def kill(options: KillOptions) -> int:
    """Kill a command again and again, and count the findings."""
    if options.what != "features":
        import torch

        from featurestack.train import training  # noqa: F401

        torch.set_num_threads(1)  # a process that has started threads is not forked
    worker.START_METHOD = "fork"  # with a fork server a round would take seconds
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        soak = Soak(Path(folder), options.seed, options.what)
        bar = progress(total=options.kills, label="kill", unit="kills")
        while soak.kills < options.kills:
            soak.round()
            bar.update(soak.kills - bar.n)
        bar.close()
    print(
        f"{soak.kills} kills, {soak.mid_run} of them in the middle of a run:"
        f" {soak.ended_well} last runs ended well, {soak.findings} findings"
    )
    return 1 if soak.findings else 0


if __name__ == "__main__":
    bench(kill)
