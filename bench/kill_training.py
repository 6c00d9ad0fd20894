"""Kill trainings at random moments, compare what they end with: `python -m bench.kill_training --kills 200`.

Each variant is trained once undisturbed. Then the same command is killed (SIGKILL) at a random time, or at a
random line of the code that writes run folders, some times in a row, and given once more until it ends. What
finished folds and whole rows of history.csv held before a kill must be there byte for byte. In the end the
folder must hold the same files as the undisturbed one and no other, with the same predictions, weights and
history but for the seconds. Two variants have no checkpoint to go on from: one epoch, and `linear`.

In some rounds `python -m train run` is started anew; in the others it is forked from a process that has the
libraries loaded, so that the kills come in the training and not in the import of torch.
"""

import importlib
import json
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pandas as pd
import torch

from commandline import files, system
from commandline.commands import main
from commandline.options import Options, option, words
from commandline.terminal import progress
from results import run_folder
from tests.train.little import clip_table, fill, little_options
from train import checkpoint
from train.options import RunOptions

CARRIED = {"ema": 0.9, "schedule": "plateau", "patience": 5, "augment": "mask,shift,gain,mixup=0.4"}
VARIANTS: dict[str, dict[str, Any]] = {
    "cnn4": {"model": "cnn4", "epochs": 6},
    "validated": {"model": "cnn4", "epochs": 6, "val": "group", **CARRIED},
    "texture": {"model": "texture", "epochs": 6, "augment": "mask,shift"},
    "ensemble": {"model": "cnn4+texture", "epochs": 4, "val": "next", "folds": (1, 2), **CARRIED},
    "one epoch": {"model": "cnn4+texture", "epochs": 1, "folds": (1, 2, 3)},
    "linear": {"model": "linear"},
}
AT_A_LINE = 0.6  # of the kills; the others come at a time
ANEW = 0.1  # of the variants' rounds: started, not forked
IN_A_ROW = (1, 1, 2, 3)  # kills before a run may end
PATIENCE = 300  # seconds for a run
FILES = tuple(str(module.__file__) for module in (checkpoint, run_folder, files, system))
WRITING = (  # functions of these files, from their first line to their last
    *("save", "_write", "write_config", "start_history", "append_history", "write_predictions"),
    *("replace_file", "replaced", "sync"),
)
CLOCKS = ("seconds", "check_seconds")  # keys of run.json
IMPORT_SECONDS = 3.0  # that a run started anew takes longer, about
LOADED = ("train.__main__", "train.run", "train.models.linear", "sklearn.linear_model")


@dataclass(frozen=True, kw_only=True)
class KillTrainingOptions(Options):
    """How long the soak is."""

    kills: int = option(200, "SIGKILLs")
    seed: int = option(0, "of everything that is random")


@dataclass(frozen=True)
class Undisturbed:
    """A variant's command, its finished run folder, its seconds, its lines of writing code."""

    options: RunOptions
    folder: Path
    seconds: float
    lines: int


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    mid_run: int = 0  # kills that came before the run had ended
    with_drafts: int = 0  # kills that left an unfinished file in the run folder
    runs: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills of {self.runs} runs, {self.mid_run} in the middle of a run, "
            f"{self.with_drafts} in the middle of a file: {len(self.wrong)} findings"
        )


class Soak:
    """Rounds of kills and comparison."""

    def __init__(self, place: Path, seed: int) -> None:
        self.rng, self.place, self.tally = random.Random(seed), place, Tally()
        little = little_options(fill(place / "little" / "features", clip_table()), place / "undisturbed")
        self.variants: dict[str, Undisturbed] = {}
        for name, changes in VARIANTS.items():
            folds = changes.get("folds", (1,))
            options = replace(little, **{"folds": folds, "compile": "off", "tag": name.split()[0], **changes})
            begun, counted = time.perf_counter(), place / "lines"
            status = _ended(_forked(options, counted=counted))
            assert status == 0, (name, status)
            (folder,) = (place / "undisturbed").glob(f"*/*-{options.tag}*")
            seconds = time.perf_counter() - begun
            self.variants[name] = Undisturbed(options, folder, seconds, int(counted.read_text()))

    def round(self, name: str) -> None:
        """Kill a variant's training once or several times, let it end, compare."""
        known, self.tally.runs = self.variants[name], self.tally.runs + 1
        options = replace(known.options, runs=self.place / "killed")
        folder = options.runs / known.folder.parent.name / known.folder.name
        anew = self.rng.random() < ANEW
        for _ in range(self.rng.choice(IN_A_ROW)):
            where = f"kill {self.tally.kills}, {name}"
            held = _kept(folder)
            status = self._kill(options, known, anew)
            self.tally.kills += 1
            self.tally.mid_run += status == -signal.SIGKILL
            self.tally.with_drafts += any(_is_draft(file) for file in folder.rglob("*"))
            if status not in (0, -signal.SIGKILL):
                self._note(f"{where}: exit status {status}")
            self._compare_kept(where, held, folder)
        held = _kept(folder)
        where = f"run {self.tally.runs}, {name}"
        if (status := _ended(_started(options) if anew else _forked(options))) != 0:
            self._note(f"{where}: the last of its runs has exit status {status}")
        self._compare_kept(where, held, folder)
        for difference in differences(known.folder, folder):
            self._note(f"{where}: {difference}")
        shutil.rmtree(options.runs, ignore_errors=True)

    def _kill(self, options: RunOptions, known: Undisturbed, anew: bool) -> int:
        """The exit status of a run that is killed somewhere, -9 where it was."""
        if anew:
            process, seconds = _started(options), known.seconds + IMPORT_SECONDS
        elif self.rng.random() < AT_A_LINE:
            return _ended(_forked(options, kill_at=self.rng.randrange(1, known.lines + 1)))
        else:
            process, seconds = _forked(options), known.seconds
        time.sleep(self.rng.random() * seconds)
        os.kill(process, signal.SIGKILL)
        return _ended(process)

    def _compare_kept(self, where: str, held: dict[Path, bytes], folder: Path) -> None:
        for file, before in held.items():
            now = file.read_bytes() if file.is_file() else b""
            if not (now.startswith(before) if file.name == "history.csv" else now == before):
                self._note(f"{where}: {file.relative_to(folder)} has lost what it held")

    def _note(self, finding: str) -> None:
        self.tally.wrong.append(finding)
        print(finding, flush=True)


def _kept(folder: Path) -> dict[Path, bytes]:
    """What no later run may change: a finished fold's predictions, every fold's whole rows of history."""
    kept = {file: file.read_bytes() for file in folder.glob("fold*/predictions.csv")}
    for file in folder.glob("fold*/history.csv"):
        if (file.parent / "last.pt").is_file():  # its rows are those that a run goes on from
            done = "".join(f"{row}\n" for row in checkpoint.load(file.parent / "last.pt")["rows"])
            content = file.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            header = whole[: whole.find(b"\n") + 1]
            kept[file] = whole if (header + done.encode()).startswith(whole) else b"never"
    return kept


def _is_draft(file: Path) -> bool:
    return file.name.startswith(".") and file.name != ".lock"


def differences(expected: Path, folder: Path) -> list[str]:
    """What a run folder has otherwise than the undisturbed one."""
    names = [{str(file.relative_to(one)) for file in one.rglob("*")} for one in (expected, folder)]
    found = [f"{name} is there too" for name in sorted(names[1] - names[0])]
    found += [f"{name} is not there" for name in sorted(names[0] - names[1])]
    for name in sorted(names[0] & names[1]):
        files = expected / name, folder / name
        if files[0].is_file() and not _same(*files):
            found.append(f"{name} differs")
    found += [f"{one.name} beside the run" for one in folder.parent.glob("*") if one != folder]
    return found


def _same(expected: Path, file: Path) -> bool:
    if file.suffix == ".pt":
        states = [checkpoint.load(one) for one in (expected, file)]
        return _equal(*({key: state[key] for key in state if key != "rows"} for state in states))
    if file.name == "history.csv":
        tables = [pd.read_csv(one).drop(columns="seconds") for one in (expected, file)]
        return tables[0].equals(tables[1])
    if file.name == "run.json":
        configs = [json.loads(one.read_text()) for one in (expected, file)]
        return _equal(*({key: one[key] for key in one if key not in CLOCKS} for one in configs))
    return expected.read_bytes() == file.read_bytes()


def _equal(one: Any, other: Any) -> bool:
    """The same nest of dictionaries, lists, tensors and numbers, bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        same_keys = isinstance(other, dict) and one.keys() == other.keys()
        return same_keys and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and (one == other or one != one)


# ---- a run ----------------------------------------------------------------------------------------------


def _started(options: RunOptions) -> int:
    """The process of `python -m train run` as a user starts it."""
    command = [sys.executable, "-m", "train", "run", *words(options)]
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, one, os.devnull, os.O_WRONLY, 0) for one in (1, 2)],
    )


def _forked(options: RunOptions, *, kill_at: int = 0, counted: Path | None = None) -> int:
    """The process of the same command, its imports done; how many lines write goes to `counted`."""
    process = os.fork()
    if not process:
        _run(options, kill_at, counted)
    return process


def _run(options: RunOptions, kill_at: int, counted: Path | None) -> NoReturn:
    """In the child: what `python -m` does."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for target in (1, 2):
        os.dup2(silence, target)
    status = 70
    try:
        lines = _Lines(kill_at)
        if kill_at or counted:
            threading.settrace(lines)
            sys.settrace(lines)
        sys.argv = ["", "run", *words(options)]
        sys.modules.pop("train.__main__", None)
        runpy.run_module("train.__main__", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.settrace(None)
        if counted:
            counted.write_text(str(lines.seen))
        os._exit(status)


def _ended(process: int) -> int:
    """Its exit status, negative for a signal."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return 124


class _Lines:
    """A trace function that counts the lines of writing in all threads and kills at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.seen, self.kill_at = 0, kill_at

    def __call__(self, frame: FrameType, event: str, argument: Any) -> "_Lines | None":
        if frame.f_code.co_name not in WRITING or frame.f_code.co_filename not in FILES:
            return None
        self.seen += event == "line"
        if self.seen == self.kill_at > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self


def kill_training(options: KillTrainingOptions) -> int:
    """Kill training after training and count what that breaks."""
    for module in LOADED:
        importlib.import_module(module)
    torch.set_num_threads(1)  # a process that has started threads is not forked
    with tempfile.TemporaryDirectory(prefix="kill-training-") as folder:
        soak = Soak(Path(folder), options.seed)
        bar = progress(total=options.kills, label="kill training", unit="kills")
        while soak.tally.kills < options.kills:
            before = soak.tally.kills
            soak.round(soak.rng.choice(list(VARIANTS)))
            bar.update(soak.tally.kills - before)
        bar.close()
    print(soak.tally)
    return 1 if soak.tally.wrong else 0


if __name__ == "__main__":
    main([kill_training])
