"""Kill runs at random moments and check: `python -m bench.kill WHAT=train`, or
`features`, or one of COMMANDS.

Extraction: each round changes a dataset, starts a run with two worker processes and
kills it, all of it or its parent alone, at a random time or at a random line of the
code that writes the cache. Then every file must open, every clip that counts as done
must have the bytes of an undisturbed run under its id, and a second run must compute
exactly the missing clips.

Training: each variant is trained once undisturbed. Then the same command is killed one
or several times, at a random time or at a random line of the code that writes run
folders, and run once more to its end. Finished folds and whole rows of history.csv must
keep their bytes. At the end the folder must equal the undisturbed one except for the
measured seconds.

One of COMMANDS: it is run once undisturbed. Then it is killed several times, all of it
or its parent alone, and run once more to its end: its tables, folds and predictions
must equal the undisturbed ones.
"""

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import tempfile
import threading
import time
from functools import cache
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
from featurestack.commandline.options import Options, option
from featurestack.commandline.terminal import progress
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.writer import to_stored
from featurestack.pipeline import audio, worker
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.extraction_request import read_source
from featurestack.pipeline.features import resolve_feature
from tests.golden.sounds import easy_clips, easy_tables
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset

# Python finds the packages here: `featurestack` links to their folders
PACKAGES = Path(featurestack.__file__).parent
PROTOCOL = (
    f"{PACKAGES}/features_cache/",
    f"{PACKAGES}/storage/files.py",
)
WRITING = (*PROTOCOL[1:], f"{PACKAGES}/results/", f"{PACKAGES}/train/checkpoint.py")
FEATURES = ("mel", "rms", "zcr", "waveform", "mfcc")
PARENT_ALONE, AT_A_LINE, IN_A_WORKER = 0.25, 0.5, 0.5  # probabilities
# about the lines of PROTOCOL that a worker runs if all clips are missing
WORKER_LINES = 1000
IN_A_ROW = (1, 1, 2, 3)  # kills before a training may end
TRAINING = (
    "FEATURES=mel GRID=64x108 BATCH=8 PRECISION=fp32 THREADS=1 DEVICE=cpu AUGMENT=none"
)
CARRIED = "SCHEDULE=plateau PATIENCE=5 AUGMENT=mask,shift,gain,mixup=0.4"
VARIANTS = {
    "cnn8": "MODEL=cnn8@width=4 EPOCHS=6 FOLDS=1",
    "validated": f"MODEL=cnn8@width=4 EPOCHS=6 VAL=group FOLDS=1 {CARRIED}",
    "texturenet": "MODEL=texturenet EPOCHS=6 AUGMENT=mask,shift FOLDS=1",
    "all folds": f"MODEL=cnn8@width=4 EPOCHS=4 VAL=next {CARRIED}",
    "one epoch": "MODEL=cnn8@width=4 EPOCHS=1",
    "linear": "MODEL=linear",
}


# killed command -> words of the program; {made} is made before, {place} is filled
COMMANDS = {
    "events": (
        "events AUDIO={made}/easy TABLES={made}/tables NAME=parts DATA={place}/data"
    ),
    "answer": (
        "answer DATASET={made}/easy.csv AUDIO_DIR={made}/easy FEATURES=rms\\ zcr"
        " DATA={place}/data RUNS={place}/runs REPORTS={place}/reports"
    ),
    "analysis": (
        "analysis DATASET={made}/data/easy/features RUNS={made}/runs"
        " REPORTS={place}/reports"
    ),
}
MEASURED = ("costs.csv", "verified.csv")  # tables of seconds and of times of files


class KillOptions(Options):
    """Kind and length of the soak."""

    what: Literal["features", "train", "events", "answer", "analysis"] = option(
        "features", "what is killed"
    )
    kills: int = option(1000, "SIGKILLs")
    seed: int = option(0, "seed of everything random")


class Soak:
    """Counts the outcomes of kills, and prints findings."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.folder = random.Random(seed), folder
        self.kills = self.mid_run = self.ended_well = self.findings = 0

    def note(self, finding: str) -> None:
        self.findings += 1
        print(finding, flush=True)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.mid_run} of them in the middle of a run:"
            f" {self.ended_well} last runs ended well, {self.findings} findings"
        )


def started(
    words: list[str],
    lines: Lines | None = None,
    counted: Path | None = None,
    output: int | None = None,
) -> int:
    """Start a command and return its process id; `lines` counts lines, and `counted`
    gets their number.
    """

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
        status = status_of(words)
        if lines and counted:
            counted.write_text(str(lines.seen))
        return status

    return forked(work, output)


class Remembering(ChangingDataset):
    """A dataset that keeps every past content and label of its clips, to check any
    value in a cache.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        (folder / "history").mkdir(parents=True)
        self.labels: dict[str, set[str]] = {}  # clip id -> all its labels so far
        # clip id -> hashes of all its contents so far
        self.contents: dict[str, list[str]] = {}
        self.features, self.dtype = set(FEATURES[:4]), "float16"  # the next run's
        super().__init__(folder, rng, clips=16)

    def change(self) -> str:
        """Make one change; its name."""
        what = self.rng.choice(
            (self.add, self.remove, self.shuffle, self.edit, self.touch, self.relabel)
        )
        if self.rng.random() < 0.5:
            what = self.rng.choice(
                (self.toggle_feature, self.toggle_type, self.replace, self.replace)
            )
        what()
        return str(what.__name__)

    def toggle_feature(self) -> None:
        """Add or remove one feature of the next run."""
        self.features ^= {self.rng.choice(FEATURES[1:])}

    def toggle_type(self) -> None:
        """Change to the other stored type."""
        self.dtype = "float32" if self.dtype == "float16" else "float16"

    def audio(self, content: str) -> Path:
        """A file with this content."""
        return Path(self.folder / "history" / f"{content}.wav")

    def record(self, name: str) -> Path:
        """Write new audio into this clip's file and keep a copy."""
        path = Path(super().record(name))
        content = read_source(str(path))[0]
        shutil.copy(path, self.audio(content))
        self.contents.setdefault(name, []).append(content)
        return path

    def write(self) -> None:
        """Write the CSV and keep the labels."""
        for name, row in zip(self.ids, self.rows, strict=True):
            self.labels.setdefault(name, set()).add(row["label"])
        super().write()


class Extraction(Soak):
    """Rounds of change, kill, check and second run."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.sounds = Remembering(folder / "sounds", self.rng)
        self.cache = folder / "data" / "sounds" / "features"
        begun, counted = time.perf_counter(), folder / "lines"
        assert ended(self.start(Lines(PROTOCOL), counted)) == 0
        self.seconds, self.lines = time.perf_counter() - begun, int(counted.read_text())

    def start(
        self,
        lines: Lines | None = None,
        counted: Path | None = None,
        output: int | None = None,
    ) -> int:
        """Start an extraction of the dataset as it is now and return its process id."""
        words = [
            "features",
            f"DATASET={self.sounds.csv}",
            f"DATA={self.folder / 'data'}",
        ]
        words += [
            f"FEATURES={' '.join(sorted(self.sounds.features))}",
            f"DTYPE={self.sounds.dtype}",
        ]
        words += [f"SAMPLE_RATE={SAMPLE_RATE}", "DURATION=1", "JOBS=2"]
        return started(words, lines, counted, output)

    def round(self) -> None:
        """One kill and a check of the cache; a second run and another check."""
        what, alone = self.sounds.change(), self.rng.random() < PARENT_ALONE
        where = f"kill {self.kills}, {what}, {'parent alone' if alone else 'all'}"
        if self.rng.random() < AT_A_LINE:
            in_worker = self.rng.random() < IN_A_WORKER
            line = self.rng.randrange(1, WORKER_LINES if in_worker else self.lines)
            process = self.start(Lines(PROTOCOL, line, in_worker, alone))
        else:
            process = self.start()
            time.sleep(self.rng.random() * self.seconds)
            (os.kill if alone else os.killpg)(process, signal.SIGKILL)
        self.kills += 1
        self.mid_run += ended(process) == -signal.SIGKILL
        # orphans of a killed parent may still finish a clip
        missing = None if alone else self.missing(where)
        with tempfile.TemporaryFile() as told:
            status = ended(self.start(output=told.fileno()))
            told.seek(0)
            announced = re.search(
                rb"([\d,]+) of [\d,]+ feature maps to compute", told.read()
            )
        computed = int(announced[1].replace(b",", b"")) if announced else 0
        left = self.missing(where)
        if status or left or missing not in (None, computed):
            self.note(
                f"{where}: {missing} missing, second run {status}, {computed} computed,"
                f" {left} left"
            )
        elif alone and lives(process):
            self.note(f"{where}: a worker outlived its parent")
        else:
            self.ended_well += 1

    def missing(self, where: str) -> int:
        """The number of missing feature maps; done ones are compared with those of an
        undisturbed run.
        """
        now, done = (
            {clip: self.sounds.contents[clip][-1] for clip in self.sounds.ids},
            0,
        )
        for path in sorted(self.cache.glob("*.h5")):
            try:
                with h5py.File(path) as file:
                    if path.stem == "index":
                        labels = file["clips"]["clip_id"][:], file["clips"]["label"][:]
                        for clip, label in zip(*labels, strict=True):
                            if label.decode() not in self.sounds.labels[clip.decode()]:
                                self.note(
                                    f"{where}: {clip.decode()} is labelled"
                                    f" {label.decode()}"
                                )
                        continue
                    ids, states, values = (
                        file[name][:] for name in ("clip_id", "state", "values")
                    )
            except (OSError, KeyError) as error:
                self.note(f"{where}: {path.name} does not open: {error}")
                continue
            for row in np.flatnonzero(states):
                clip, stored = ids[row].decode(), values[row].tobytes()
                contents = self.sounds.contents.get(clip, [])
                files = {
                    content: str(self.sounds.audio(content)) for content in contents
                }
                dtype = values.dtype.name
                fits = [
                    one
                    for one, file in files.items()
                    if undisturbed(path.stem, file, dtype) == stored
                ]
                if not fits:
                    self.note(f"{where}: {path.name} holds something else for {clip}")
                asked = (
                    path.stem in self.sounds.features
                    and values.dtype.name == self.sounds.dtype
                )
                done += bool(asked and fits and fits[-1] == now.get(clip))
        return len(now) * len(self.sounds.features) - done


@cache
def undisturbed(feature: str, file: str, dtype: str) -> bytes:
    """The stored bytes of one clip in an undisturbed run."""
    y = audio.load_clip(Path(file), SAMPLE_RATE, SAMPLE_RATE)
    values = resolve_feature(parse_channel(feature)).compute(Clip(y, SAMPLE_RATE))
    return to_stored(values, values.shape, dtype).tobytes()


def lives(group: int) -> bool:
    """Whether a process group still has a member after a second."""
    for _ in range(20):
        living = False
        for process in psutil.process_iter(["status"]):
            with contextlib.suppress(OSError):
                living |= (
                    os.getpgid(process.pid) == group
                    and process.info["status"] != "zombie"
                )
        if not living:
            return False
        time.sleep(0.05)
    return True


class Training(Soak):
    """Rounds of kills, a last run, and comparison with the undisturbed run."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        easy_clips(folder / "easy")
        made = (
            f"features DATASET={folder}/easy.csv AUDIO_DIR={folder}/easy"
            " FEATURES=mel JOBS=1"
        )
        assert ended(started([*made.split(), f"DATA={folder}/data"])) == 0
        # run folder, seconds, lines that write
        self.known: dict[str, tuple[Path, float, int]] = {}
        for name in VARIANTS:
            begun, counted = time.perf_counter(), folder / "lines"
            assert (
                ended(
                    self.start(name, folder / "known" / name, Lines(WRITING), counted)
                )
                == 0
            ), name
            (config,) = (folder / "known" / name).glob("*/*/run.json")
            self.known[name] = (
                config.parent,
                time.perf_counter() - begun,
                int(counted.read_text()),
            )

    def start(
        self,
        name: str,
        runs: Path,
        lines: Lines | None = None,
        counted: Path | None = None,
    ) -> int:
        words = [
            "train",
            f"DATASET={self.folder}/data/easy/features",
            f"RUNS={runs}",
        ]
        return started(
            [*words, *TRAINING.split(), *VARIANTS[name].split()], lines, counted
        )

    def round(self) -> None:
        """Kill a variant's training once or several times, let it end, compare."""
        name, runs = self.rng.choice(list(VARIANTS)), self.folder / "killed"
        expected, seconds, lines = self.known[name]
        folder = runs / expected.parent.name / expected.name
        for last in (*[False] * self.rng.choice(IN_A_ROW), True):
            where = f"kill {self.kills}, {name}"
            # no later run may change a finished fold's predictions or whole rows of
            # history
            kept = {
                file: b"".join(file.read_bytes().rpartition(b"\n")[:2])
                for file in folder.glob("fold*/*.csv")
            }
            if last or self.rng.random() > AT_A_LINE:
                process = self.start(name, runs)
                if not last:
                    time.sleep(self.rng.random() * seconds)
                    os.kill(process, signal.SIGKILL)
            else:
                process = self.start(
                    name, runs, Lines(WRITING, self.rng.randrange(1, lines + 1))
                )
            status = ended(process)
            self.kills += not last
            self.mid_run += status == -signal.SIGKILL
            if status not in ((0,) if last else (0, -signal.SIGKILL)):
                self.note(f"{where}: exit status {status}")
            for file, before in kept.items():
                if not (file.is_file() and file.read_bytes().startswith(before)):
                    self.note(
                        f"{where}: {file.relative_to(folder)} has lost what it held"
                    )
        changed = differences(expected, folder)
        for difference in changed:
            self.note(f"{where}: {difference}")
        self.ended_well += not changed
        shutil.rmtree(runs)


class Commands(Soak):
    """Rounds of kills of one command, a last run, and comparison of its tables."""

    def __init__(self, folder: Path, seed: int, what: str) -> None:
        super().__init__(folder, seed)
        self.what = what
        easy_clips(folder / "easy")
        easy_tables(folder / "easy", folder / "tables")
        if what == "analysis":
            sounds = f"DATASET={folder}/easy.csv AUDIO_DIR={folder}/easy"
            made = f"features {sounds} DATA={folder}/data JOBS=1 FEATURES="
            assert ended(started([*made.split(), "--features", "rms zcr"])) == 0
            for feature in ("rms", "zcr"):
                words = f"train DATASET={folder}/data/easy/features MODEL=linear"
                given = [f"FEATURES={feature}", f"RUNS={folder}/runs"]
                assert ended(started([*words.split(), *given])) == 0
        begun = time.perf_counter()
        assert ended(self.start(folder / "known")) == 0
        self.seconds = time.perf_counter() - begun
        self.known = written_tables(folder / "known")

    def start(self, place: Path) -> int:
        text = COMMANDS[self.what].format(made=self.folder, place=place)
        return started(shlex.split(text))

    def round(self) -> None:
        """Kill the command once or several times, let it end, compare."""
        place = self.folder / "killed"
        for _ in range(self.rng.choice(IN_A_ROW)):
            alone = self.rng.random() < PARENT_ALONE
            process = self.start(place)
            time.sleep(self.rng.random() * self.seconds)
            with contextlib.suppress(ProcessLookupError):  # it has ended
                (os.kill if alone else os.killpg)(process, signal.SIGKILL)
            self.kills += 1
            self.mid_run += ended(process) == -signal.SIGKILL
            if alone and lives(process):
                self.note(f"kill {self.kills}: a child outlived its parent")
        status = ended(self.start(place))
        tables = written_tables(place)
        names = self.known.keys() | tables.keys()
        other = [name for name in names if self.known.get(name) != tables.get(name)]
        if status or other:
            self.note(f"kill {self.kills}: exit status {status}, {sorted(other)}")
        self.ended_well += not (status or other)
        shutil.rmtree(place)


def written_tables(place: Path) -> dict[str, Any]:
    """The tables in a folder, by their paths, without measured seconds."""
    files = [file for file in place.rglob("*.csv") if file.name not in MEASURED]
    text = {str(file.relative_to(place)): content(file) for file in files}
    return {
        name: value.replace(str(place).encode(), b"")
        if isinstance(value, bytes)
        else value
        for name, value in text.items()
    }


def differences(expected: Path, folder: Path) -> list[str]:
    """The differences between a run folder and the undisturbed one."""
    names = [
        {str(file.relative_to(one)) for file in one.rglob("*")}
        for one in (expected, folder)
    ]
    found = [f"only one of them has {name}" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        if (expected / name).is_file() and content(expected / name) != content(
            folder / name
        ):
            found.append(f"{name} differs")
    return found + [
        f"{one.name} beside the run" for one in folder.parent.iterdir() if one != folder
    ]


def content(file: Path) -> Any:
    """A file's content without seconds, for comparison."""
    if file.name == "history.csv":
        return pd.read_csv(file).drop(columns="seconds").to_csv()
    if file.name == "run.json":
        return json.loads(file.read_text()) | {"seconds": None}
    if file.suffix != ".pt":
        return file.read_bytes()
    import torch

    state = torch.load(file, weights_only=True) | {"rows": None}
    weights = {
        name: tensor.numpy().tobytes() for name, tensor in state.pop("network").items()
    }
    return weights, repr(state)


def fork_workers() -> None:
    """Fork the workers: with a fork server a round would take seconds."""
    worker.START_METHOD = "fork"


def kill(options: KillOptions) -> int:
    """Kill extraction after extraction, or training after training, and count the
    findings.
    """
    if options.what != "features":
        import torch

        from featurestack.train import run  # noqa: F401

        torch.set_num_threads(1)  # a process that has started threads is not forked
    fork_workers()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        place = Path(folder)
        soak: Extraction | Training | Commands
        if options.what == "features":
            soak = Extraction(place, options.seed)
        elif options.what == "train":
            soak = Training(place, options.seed)
        else:
            soak = Commands(place, options.seed, options.what)
        bar = progress(total=options.kills, label="kill", unit="kills")
        while soak.kills < options.kills:
            soak.round()
            bar.update(soak.kills - bar.n)
        bar.close()
    print(soak)
    return 1 if soak.findings else 0


if __name__ == "__main__":
    bench(kill)
