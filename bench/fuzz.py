"""Hostile options and damaged files through the commands that users type: `python -m bench.fuzz`.

A little world is made once: sounds, caches, three runs, a bundle, a report, an exported file, an archive, a
recipe. In half of the trials one or two options of a command get hostile values, as flags, as variables or as
make hands them over; every option of every command has the same chance. `bench` and `demo` alone are left
out: what they start are these commands. In the other half a file of the world is damaged, or its place is
taken by a folder, a FIFO, a dangling link, and a command that reads it is run; every format has the same
chance. Each trial is a process, forked from one that has the libraries loaded.

A trial is a finding where there is a traceback, a raw warning, a crash, a hang, an exit status other than 0,
1 and 2, a 2 without its message, or a prediction that a damaged file has changed. All of it follows from the
seed: `--first 1234 --trials 1` repeats one trial.
"""

import contextlib
import csv
import dataclasses
import importlib
import io
import json
import os
import random
import re
import resource
import runpy
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil

from commandline.commands import commands, main, options_of
from commandline.options import Options, option
from commandline.terminal import progress
from tests.train.sounds import write_dataset

IDLE = 20  # seconds without computing after which a trial hangs
PROCESSOR_SECONDS = 60  # that a trial may take
MEMORY = 6 << 30  # bytes that a trial may take beside what is loaded
LINES = 12  # of a finding's output that are shown

HOSTILE = (
    *("inf", "-inf", "nan", "-1", "0", "1", "2", "-0.0", "0.5", "1e-320", "1e23", "-1e23", "9" * 30, "1e999"),
    *(
        "",
        " ",
        "\t",
        "a\nb",
        "\n",
        "-",
        "--",
        "=",
        "+",
        ",",
        ":",
        "@",
        "%s",
        "{}",
        "$(x)",
        "'",
        '"',
        "\\",
        "*",
    ),
    *("x" * 300, "é" * 200, "y/" * 3000, "\udcff\udcfe", "a\udc80b", "🎵", "犬", "\x1b[31m", "\x7f"),
    *("/", ".", "..", "~", "/nonexistent/path/x", "/dev/null", "/dev/full", "/proc/self/mem", "/etc/passwd"),
    *("{world}", "{world}/sounds", "{world}/fifo", "{world}/loop", "{world}/nothing", "{world}/sounds/x.txt"),
    *("{world}/model.pt", "{world}/data/little/features/mel.h5", "{world}/little-features.h5"),
    *("{world}/data/little/features", "{world}/runs", "{world}/tree", "{world}/esc.zip", "{world}/own.txt"),
    *(
        "tensorboard",
        "tcp://127.0.0.1:1",
        "tls://127.0.0.1:1",
        "http://127.0.0.1:1/x.zip",
        "file:///etc/passwd",
    ),
    *(
        "1x1",
        "0x0",
        "99999999x99999999",
        "64x108",
        "-1x5",
        "1/0",
        "5/3",
        "1/1",
        "0 1 2",
        "nan nan",
        "1,2",
        "1e3",
    ),
    *("mel", "mel+mel", "mell", "mel:5-1", "mel:0-9999", "mel@n_mels=0", "mel@n_mels=-1", "mel@n_mels=nan"),
    *("mel@n_mels=99999999", "mel@hop_length=0", "mel@n_fft=1", "mel@n_fft=-4", "mel@fmin=1e9", "mel@x=1"),
    *(
        "mel@",
        "@n_mels=64",
        "mfcc@n_mfcc=0",
        "mfcc@n_mfcc=500",
        "chroma@n_chroma=0",
        "yin@fmin=0",
        "all",
        "small",
    ),
    *(
        "linear",
        "texture",
        "cnn4",
        "resnet18+",
        "+texture",
        "cnn4+texture@weight=7",
        "linear@C=0",
        "linear@C=nan",
    ),
    *("aclnet@width=0", "cnn4@width=1e9", "m11", "a+b", "last", "best", "auto", "none", "on", "true", "1 0"),
    *(
        "shift=inf",
        "mixup=-1",
        "crop=0x0",
        "crop=9999x9999",
        "gain=nan",
        "crops",
        "windows",
        "f32",
        "float16",
    ),
)
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**30, "", "x" * 300, "nan", [], {}, [[]], [None], {"": 0}, "\u0000", "犬"),
    *("/etc/passwd", "99999999x99999999", [1, 1], ["a"], [{"name": "a"}], {"name": 3}, "float16", "../../x"),
)
CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e999",
    "x" * 300,
    "=1+1",
    "a\nb",
    "犬",
    "\x00",
    "1",
    "../../x",
    "/dev/zero",
)
READERS = {  # the calls that read a file whose path matches
    r"run\.json": ("analysis", "explain", "run", "predict", "bundle", "predict-own", "sweep", "onnx"),
    r"history": ("analysis", "run", "ensemble"),
    r"attribution|augmented": ("analysis",),
    r"predictions": ("analysis", "explain", "run", "predict-own", "bundle", "onnx", "ensemble"),
    r"last\.pt": ("predict", "bundle", "explain", "listen", "onnx", "timelines"),
    r"best\.pt": ("predict", "bundle", "onnx"),
    r"model\.pt": ("predict-bundle", "listen-bundle", "run-weights"),
    r"little-features\.h5": ("import", "verify-file"),
    r"esc\.zip": ("data-zip",),
    r"own\.txt": ("run-recipe", "sweep-recipe"),
    r"index\.h5$": ("features", "verify", "info", "export", "run", "analysis", "plan", "predict-own"),
    r"\.h5$": ("features", "verify", "info", "export", "run", "analysis", "plan", "verify-cache", "explain"),
    r"costs\.csv|failures\.csv|locks": ("features", "verify", "info", "run", "analysis", "plan"),
    r"folds\.csv": ("features-tree", "plan-tree", "run-tree"),
    r"little\.csv$": ("features", "plan", "check", "data", "run", "analysis"),
    r"tree/": ("features-tree", "plan-tree", "check-tree"),
    r"sounds/": ("features", "plan", "check", "data", "predict", "timelines", "verify"),
    r"reports/": ("analysis",),
}
NOT_CALLED = ("bench", "demo")  # they start the others
THROUGH_MAKE = 0.1  # of the calls with hostile options
DEEPER, TAKEN_OUT = 0.7, 0.3  # of the changes of a nest
OTHER_KIND = 0.15  # of the damages: no regular file any more
RUN = "mel+rms-cnn4"
HUNG = -1000
PCM_BYTES = 60_000  # on standard input: two seconds for `listen`
LARGEST_FILE = 1 << 30
LOADED = (
    *("pipeline.extract", "pipeline.check", "pipeline.verify", "pipeline.listing"),
    *(
        "features_cache.share",
        "train.run",
        "train.sweep",
        "train.predict",
        "train.explain",
        "train.extras.listen",
    ),
    *(
        "train.listing",
        "train.models.linear",
        "sklearn.linear_model",
        "train.extras.onnx_export",
        "train.timeline",
        "analysis.report",
        "analysis.ensemble",
    ),
    *("librosa", "pandas", "matplotlib.pyplot"),
)


@dataclass(frozen=True, kw_only=True)
class FuzzCallsOptions(Options):
    """How many trials, from which seed."""

    trials: int = option(5000, "calls of a command")
    first: int = option(0, "number of the first trial")
    seed: int = option(0, "of everything that is random")
    only: str = option("", "options or files: that half alone")


@dataclass(frozen=True)
class Call:
    """Words after `python -m`, which of the usual calls it is, what was done to the world before."""

    words: tuple[str, ...]
    name: str = ""
    damage: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a call came to; `finding` is empty where it is as it should be."""

    status: int
    finding: str
    output: str


# ---- the world ------------------------------------------------------------------------------------------


def usual(world: Path) -> dict[str, list[str]]:
    """A call of each command that works and takes a fraction of a second; the name's first word is for us."""
    sounds, file = f"DATASET={world / 'sounds' / 'little.csv'}", f"FILE={world / 'little-features.h5'}"
    where, runs, reports = (f"{name.upper()}={world / name}" for name in ("data", "runs", "reports"))
    audio, model = f"AUDIO={world / 'sounds' / 'tone-1-0.wav'}", world / "model.pt"
    training = [sounds, where, runs, "FEATURES=mel+rms", "MODEL=cnn4", "GRID=64x108", "EPOCHS=1", "BATCH=8"]
    training += ["PRECISION=fp32", "THREADS=1", "DEVICE=cpu", "COMPILE=off", "AUGMENT=shift"]
    extraction = [sounds, where, "FEATURES=mel rms zcr", "JOBS=1"]
    tree, recipe = [f"DATASET={world / 'tree'}", where], f"RECIPE={world / 'own.txt'}"
    linear = [sounds, where, runs, "FEATURES=mel+rms", "MODEL=linear"]
    zipped = ["DATASET=esc10", f"DATA={world / 'unpacked'}", f"ARCHIVE={world / 'esc.zip'}"]
    return {
        "data": ["pipeline", "data", sounds, where],
        "data-zip": ["pipeline", "data", *zipped],
        "features": ["pipeline", "features", *extraction],
        "features-tree": ["pipeline", "features", *tree, "FEATURES=rms", "JOBS=1"],
        "features-copies": [
            "pipeline",
            "features",
            *tree,
            "FEATURES=rms",
            "JOBS=1",
            "COPIES=1",
            "ALTER=gain",
        ],
        "run-tree": ["train", "run", *tree, runs, "FEATURES=rms", "MODEL=linear", "FOLDS=1"],
        "plan": ["pipeline", "plan", *extraction],
        "plan-tree": ["pipeline", "plan", *tree, "FEATURES=rms"],
        "check-tree": ["pipeline", "check", *tree],
        "list": ["pipeline", "list", "mel"],
        "check": ["pipeline", "check", sounds, where],
        "verify": ["pipeline", "verify", sounds, where, "RECOMPUTE=1"],
        "info": ["features_cache", "info", sounds, where],
        "verify-cache": ["features_cache", "verify", sounds, where],
        "verify-file": ["features_cache", "verify", sounds, where, file],
        "export": ["features_cache", "export", sounds, where, file],
        "import": ["features_cache", "import", sounds, f"DATA={world / 'other'}", file],
        "run": ["train", "run", *training],
        "run-weights": ["train", "run", *training, "TAG=started", "FOLDS=1", f"WEIGHTS={model}"],
        "run-recipe": ["train", "run", *linear, recipe, "FOLDS=1"],
        "sweep": ["train", "sweep", *training, "FOLDS=1"],
        "sweep-recipe": ["train", "sweep", *linear, recipe, "FOLDS=1"],
        "predict": ["train", "predict", f"RUN={RUN}", runs, where, reports, audio, "JSON=1"],
        "predict-own": ["train", "predict", f"RUN={RUN}", runs, where, "TEST_CLIPS=1"],
        "predict-bundle": ["train", "predict", f"RUN={model}", runs, where, reports, audio, "JSON=1"],
        "timelines": ["train", "predict", f"RUN={RUN}", runs, where, reports, audio, "HOP=0.5", "THREADS=1"],
        "onnx": ["train", "export", f"RUN={RUN}", runs, where, f"OUT={world / 'model.onnx'}"],
        "explain": ["train", "explain", f"RUN={RUN}", runs, where, "REPEATS=1", "DEVICE=cpu"],
        "listen": ["train", "listen", f"RUN={RUN}", runs],
        "listen-bundle": ["train", "listen", f"RUN={model}", runs],
        "bundle": ["train", "bundle", f"RUN={RUN}", runs, f"OUT={model}"],
        "train-list": ["train", "list", "cnn4"],
        "analysis": ["analysis", sounds, where, runs, reports, "FIGURES=1"],
        "ensemble": ["analysis", sounds, where, runs, reports, "FIGURES=0", f"ENSEMBLE={RUN} mel+rms-linear"],
    }


def make_world(world: Path) -> None:
    """Everything that a command can read, small: by the commands themselves."""
    write_dataset(world / "sounds")
    (world / "sounds" / "x.txt").write_text("no sound")
    for file in (world / "sounds").glob("*-1-*.wav"):
        (world / "tree" / file.name.partition("-")[0]).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, world / "tree" / file.name.partition("-")[0])
    shutil.make_archive(str(world / "esc"), "zip", world / "sounds")
    (world / "own.txt").write_text("# a recipe\nSEED=3\nVAL=group\n")
    calls = usual(world)
    others = [
        [*calls["run"], "MODEL=linear", "SEED=1"],
        [*calls["run"], "MODEL=texture", "VAL=group", "FOLDS=1"],
    ]
    made = [calls[name] for name in ("explain", "bundle", "analysis", "export", "features-tree")]
    for words in (calls["features"], calls["run"], *others, *made):
        outcome = run(Call(tuple(words)))
        assert outcome.status == 0 and not outcome.finding, (words, outcome)
    os.mkfifo(world / "fifo")
    (world / "loop").symlink_to("loop")
    (world / "nothing").symlink_to("not there")
    (world / "empty").mkdir()


class Worlds:
    """The world as it was made, and the copy that is damaged, put right again after each call."""

    def __init__(self, folder: Path) -> None:
        self.sound, self.world = folder / "sound", folder / "world"
        self.world.mkdir()
        make_world(self.world)
        shutil.copytree(self.world, self.sound, symlinks=True, copy_function=_copy)
        self.files = [
            path.relative_to(self.world) for path in sorted(self.world.rglob("*")) if path.is_file()
        ]
        self.state = self._state()

    def put_right(self) -> None:
        if self._state() != self.state:
            shutil.rmtree(self.world)
            shutil.copytree(self.sound, self.world, symlinks=True, copy_function=_copy)
            self.state = self._state()

    def _state(self) -> dict[Path, tuple[int, ...]]:
        found = ((path, path.lstat()) for path in self.world.rglob("*"))
        return {path: (one.st_mode, one.st_size, one.st_mtime_ns, one.st_ino) for path, one in found}


def _copy(source: str, target: str) -> None:
    if stat.S_ISFIFO(os.lstat(source).st_mode):
        os.mkfifo(target)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


# ---- what is done ---------------------------------------------------------------------------------------


def hostile_call(rng: random.Random, world: Path, options: dict[str, type]) -> Call:
    """A command with one or two options that nobody would give."""
    calls = usual(world)
    fields = {
        name: [one.name for one in dataclasses.fields(options[_command_of(calls[name])])] for name in calls
    }
    (name,) = rng.choices(list(calls), [len(fields[name]) for name in calls])
    words = calls[name]
    for field in rng.sample(fields[name], min(len(fields[name]), rng.choice([1, 1, 2]))):
        value = rng.choice(HOSTILE).replace("{world}", str(world))
        given = f"{field.upper()}={value}"
        words = [*words, rng.choice([given, given, f"--{field.replace('_', '-')}={value}"])]
    if rng.random() < THROUGH_MAKE:
        words = _handed_over(words)
    return Call(tuple(words), name)


def _handed_over(words: list[str]) -> list[str]:
    """The variables among the words as make writes them into MAKEOVERRIDES."""
    variables = [word for word in words if re.match(r"[A-Z_]+=", word)]
    escaped = [re.sub(r"([\s\\])", r"\\\1", word).replace("$", "$$") for word in variables]
    return [*(word for word in words if word not in variables), "--make", " ".join(escaped)]


def damaging_call(rng: random.Random, worlds: Worlds) -> tuple[Call, Path]:
    """A command that reads a file, and the file that is to be damaged before."""
    by_format: dict[str, list[Path]] = {}
    for file in worlds.files:
        by_format.setdefault(next((one for one in READERS if re.search(one, str(file))), ""), []).append(file)
    by_format.pop("", None)
    form = rng.choice(list(by_format))
    file = rng.choice(by_format[form])
    name = rng.choice(READERS[form])
    words = usual(worlds.world)[name]
    if file.parts[0] == "runs" and f"RUN={RUN}" in words:
        words = [
            word if word != f"RUN={RUN}" else f"RUN={worlds.world.joinpath(*file.parts[:3])}"
            for word in words
        ]
        words = [*words, "SELECTION=best"] if file.name == "best.pt" else words
    return Call(tuple(words), name), file


def damage(file: Path, rng: random.Random) -> str:
    """Do something to a file, and say what."""
    by_content = [flip, flip, cut, overwrite, blank]
    if file.suffix == ".json":
        by_content = [change_json] * 6 + by_content
    if file.suffix == ".csv":
        by_content = [change_cell] * 4 + by_content
    if file.suffix == ".pt":
        by_content = [change_weights] * 3 + by_content
    if rng.random() < OTHER_KIND:
        return other_kind(file, rng)
    how = rng.choice(by_content)
    file.write_bytes(how(file.read_bytes(), rng))
    return how.__name__


def flip(content: bytes, rng: random.Random) -> bytes:
    """One to a hundred bits, half the time near the beginning."""
    flipped = bytearray(content or b"\0")
    for _ in range(rng.choice([1, 1, 3, 100])):
        flipped[rng.randrange(min(len(flipped), rng.choice([512, 1 << 30])))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def cut(content: bytes, rng: random.Random) -> bytes:
    """The beginning alone, or nothing."""
    return content[: rng.choice([0, rng.randrange(len(content) + 1)])]


def overwrite(content: bytes, rng: random.Random) -> bytes:
    """Random bytes, text or zeros, of the same or another length."""
    length = rng.choice([len(content), 100])
    return rng.choice(
        [rng.randbytes(length), b"\xff\xfe" * length, b"text, with\nno meaning\n", bytes(length)]
    )


def blank(content: bytes, rng: random.Random) -> bytes:
    """A block of zeros or of random bytes somewhere, as a disk leaves it."""
    start, size = rng.randrange(len(content) + 1), rng.choice([16, 512, 4096])
    block = rng.choice([bytes(size), rng.randbytes(size)])[: len(content) - start]
    return content[:start] + block + content[start + len(block) :]


def change_json(content: bytes, rng: random.Random) -> bytes:
    """A key that is gone, or holds something else."""
    held = json.loads(content)
    _change(held, rng, JSON_VALUES)
    return json.dumps(held).encode()


def _change(held: Any, rng: random.Random, values: tuple[Any, ...]) -> None:
    """Somewhere in a nest of dictionaries and lists: take something out, or put another value there."""
    while True:
        key = rng.choice(list(held) if isinstance(held, dict) else range(len(held)))
        if not (isinstance(held[key], dict | list) and held[key] and rng.random() < DEEPER):
            break
        held = held[key]
    if rng.random() < TAKEN_OUT:
        del held[key]
    else:
        held[key] = rng.choice(values)


def change_cell(content: bytes, rng: random.Random) -> bytes:
    """A cell with something else, a row twice, a column that is gone."""
    rows = list(csv.reader(io.StringIO(content.decode()))) or [[""]]
    row = rng.choice(rows)
    what = rng.randrange(4)
    if what == 0:
        rows.append(row)
    elif what == 1:
        rows = [one[1:] for one in rows]
    elif row:
        row[rng.randrange(len(row))] = rng.choice(CELLS)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")


def change_weights(content: bytes, rng: random.Random) -> bytes:
    """Another value somewhere in what torch.save wrote, with its checksums right."""
    import torch

    held = torch.load(io.BytesIO(content), weights_only=True)
    _change(held, rng, (*JSON_VALUES, torch.zeros(0), torch.full((3, 3), float("nan"))))
    buffer = io.BytesIO()
    torch.save(held, buffer)
    return buffer.getvalue()


def other_kind(file: Path, rng: random.Random) -> str:
    """Something that is no regular file in its place, or nothing."""
    kind = rng.choice(["gone", "folder", "fifo", "dangling", "loop", "endless", "another"])
    content = file.with_name(rng.choice(sorted(one.name for one in file.parent.iterdir() if one.is_file())))
    other = content.read_bytes()
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "another":
        file.write_bytes(other)
        return f"is {content.name}"
    elif kind != "gone":
        file.symlink_to({"dangling": "not there", "loop": file.name, "endless": "/dev/zero"}[kind])
    return kind


# ---- a call ---------------------------------------------------------------------------------------------


def run(call: Call) -> Outcome:
    """The call in a process of its own, and what is wrong with what it came to."""
    with tempfile.TemporaryFile() as told:
        process = os.fork()
        if not process:
            _call(call.words, told.fileno())
        status = _waited(process)
        told.seek(0)
        output = told.read().decode(errors="replace")
    return Outcome(status, _finding(status, output), output)


def _call(words: tuple[str, ...], told: int) -> NoReturn:
    """In the child: what `python -m` does."""
    os.setpgid(0, 0)
    os.chdir(tempfile.mkdtemp(dir=os.environ["FUZZ_FOLDER"]))
    for target in (1, 2):
        os.dup2(told, target)
    read, write = os.pipe()
    os.write(
        write, random.Random(str(words)).choice([bytes(PCM_BYTES), random.Random(0).randbytes(PCM_BYTES)])
    )
    os.close(write)
    os.dup2(read, 0)
    sys.stdout = open(1, "w", closefd=False, errors="surrogateescape")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    status = 70
    try:
        sys.argv = ["", *words[1:]]
        sys.modules.pop(f"{words[0]}.__main__", None)  # the list of commands has loaded it
        runpy.run_module(f"{words[0]}.__main__", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _waited(process: int) -> int:
    """Exit status, negative for a signal; HUNG where nothing is computed any more."""
    looked = changed = time.monotonic()
    before = 0.0
    while time.monotonic() < changed + IDLE:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
        if time.monotonic() > looked + 1:
            looked = time.monotonic()
            if (now := _computed(process)) != before:
                changed, before = looked, now
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return HUNG


def _computed(process: int) -> float:
    """Processor seconds of a process and of those that it started, as far as they are still there."""
    seconds = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        of = psutil.Process(process)
        for one in (of, *of.children(recursive=True)):
            taken = one.cpu_times()
            seconds += taken.user + taken.system + taken.children_user
    return seconds


def _finding(status: int, output: str) -> str:
    if status in (HUNG, -signal.SIGXCPU, -signal.SIGKILL):
        return "hangs"
    if "Traceback (most recent call last)" in output:
        return "traceback"
    if warning := re.search(r"^.*\b\w+Warning: .*$", output, re.MULTILINE):
        return f"raw warning: {warning[0][-100:]}"
    if status not in (0, 1, 2):
        return f"exit status {status}"
    if status == 2 and "error: " not in output:
        return "exit status 2 without a message"
    return ""


def answers_otherwise(call: Call, outcome: Outcome, sound: dict[tuple[str, ...], str]) -> str:
    """A finding where a damaged file of weights changed what is predicted."""
    weights = ".pt: " in call.damage and call.words in sound and "is " not in call.damage
    if weights and "change_weights" not in call.damage and outcome.status == 0:
        return "" if outcome.output == sound[call.words] else "predicts otherwise"
    return ""


def fuzz_calls(options: FuzzCallsOptions) -> int:
    """Call after call, and which of them broke something."""
    of_command = {words: options_of(function) for words, function in commands() if words not in NOT_CALLED}
    called = {_command_of(words) for words in usual(Path()).values()}
    assert called == set(of_command), f"never called: {set(of_command) - called}"
    counts: Counter[str] = Counter()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["FUZZ_FOLDER"] = folder
        load_libraries()
        worlds = Worlds(Path(folder))
        sound: dict[tuple[str, ...], str] = {}
        bar = progress(range(options.first, options.first + options.trials), label="fuzz", unit="trials")
        for number in bar:
            rng = random.Random(f"{options.seed} {number}")
            if (options.only or rng.choice(["options", "files"])) == "options":
                call = hostile_call(rng, worlds.world, of_command)
            else:
                call, file = damaging_call(rng, worlds)
                if file.suffix == ".pt" and call.words[1] == "predict" and call.words not in sound:
                    sound[call.words] = run(call).output
                    worlds.put_right()
                what = damage(worlds.world / file, rng)
                call = dataclasses.replace(call, damage=f"{file}: {what}")
            outcome = run(call)
            finding = outcome.finding or answers_otherwise(call, outcome, sound)
            counts[f"exit status {outcome.status}"] += 1
            if finding:
                found[finding.split(":")[0]] += 1
                _show(number, call, finding, outcome, worlds.world)
            worlds.put_right()
    print(f"{options.trials} trials: {dict(sorted(counts.items()))}; findings: {dict(found) or 'none'}")
    return 1 if found else 0


def _command_of(words: list[str]) -> str:
    return words[0] if words[0] == "analysis" else f"{words[0]} {words[1]}"


def load_libraries() -> None:
    for module in LOADED:
        importlib.import_module(module)


def _show(number: int, call: Call, finding: str, outcome: Outcome, world: Path) -> None:
    base = usual(world)[call.name]
    own = [word for word in call.words if word not in base]
    given = " ".join(ascii(word) if len(word) < 200 else f"{word[:40]!a}…" for word in own)
    print(f"trial {number}, {call.name} {given} {call.damage}: {finding}")
    lines = outcome.output.rstrip().splitlines()[-LINES:]
    print("".join(f"    {line[:200]}\n" for line in lines), end="", flush=True)


if __name__ == "__main__":
    main([fuzz_calls])
