"""Hostile options and damaged files through the commands that users type: `python -m
bench.fuzz`.

A folder, the world, is made once: audio, annotation tables, caches, three runs, a
bundle, a report, an archive. In some of the trials one or two options of a command get
hostile values, as flags or as variables. In others a file of the world is damaged, or
replaced by a folder, a FIFO or a dangling link, and a command that reads it is run.

Some trials are a situation of several commands instead: two places of one name, two
commands at once, altered copies with groups, a full disk (a small tmpfs, where the
system lets one be mounted).

A trial is a finding if there is a traceback, a raw warning, a crash, a hang, an exit
status other than 0, 1 and 2, a 2 without a message, a damaged file of a run that changed
a prediction without being named, or a situation that did not end as
bench/situations.py expects. `--first 1234 --trials 1` repeats one trial.
"""

import csv
import importlib
import io
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from bench.calls import Outcome, run
from bench.record import bench
from bench.situations import SITUATIONS, full_disk, make_sites, mounts_are_private
from featurestack.base.options import Options, option
from featurestack.base.terminal import progress
from featurestack.cli.commands import UNFORESEEN
from featurestack.cli.words import every_options
from tests.golden.sounds import easy_clips

LINES = 12  # shown lines of a finding's output
# probabilities: hostile options, a damaged file, a situation of several commands
KINDS_OF_TRIALS = {"options": 0.4, "damage": 0.4, "situation": 0.2}
# probabilities: no plain file, a nested value, a removed one
OTHER_KIND, DEEPER, TAKEN_OUT = 0.15, 0.7, 0.3
RUN = "mel+rms-cnn4"

# Values separated by blanks; {…} is filled in, ~ stands for a blank.
HOSTILE = r"""
inf -inf nan -1 0 1 2 -0.0 0.5 1e-320 1e23 -1e23 999999999999999999999999999999 1e999 {empty} ~ {tab}
a{line}b {line} - -- = + , : @ %s $(x) ' " \ * {long} {accents} {deep} {bytes} a{byte}b 🎵 犬 {escape}[31m
{delete} / . .. ~~ /nonexistent/path/x /dev/null /dev/full /proc/self/mem /etc/passwd {world}
{world}/sounds {world}/fifo {world}/loop {world}/nothing {world}/sounds/x.txt {world}/model.pt
{world}/data/little/features/mel.h5 {world}/data/little/features {world}/runs
{world}/tree {world}/esc.zip tensorboard tcp://127.0.0.1:1 tls://127.0.0.1:1
http://127.0.0.1:1/x.zip file:///etc/passwd 1x1 0x0 99999999x99999999 64x108 -1x5 1/0 5/3 1/1 0~1~2
nan~nan 1,2 1e3 mel mel+mel mell mel:5-1 mel:0-9999 mel@n_mels=0 mel@n_mels=-1 mel@n_mels=nan
mel@n_mels=99999999 mel@hop_length=0 mel@n_fft=1 mel@n_fft=-4 mel@fmin=1e9 mel@x=1 mel@ @n_mels=64
mfcc@n_mfcc=0 mfcc@n_mfcc=500 chroma@n_chroma=0 yin@fmin=0 all small linear texturenet cnn4 resnet18+
+texturenet cnn4+texturenet linear@C=0 linear@C=nan aclnet@width=0 cnn4@width=1e9 aclnet a+b last best
auto none on true 1~0 1_0 1_0.5 １０ /proc/x shift=inf mixup=-1 gain=nan shifts windows f32 float16
"""
SPECIAL = {"empty": "", "tab": "\t", "line": "\n", "escape": "\x1b", "delete": "\x7f"}
SPECIAL |= {"long": "x" * 300, "accents": "é" * 200, "deep": "y/" * 3000}
SPECIAL |= {"bytes": "\udcff\udcfe", "byte": "\udc80"}
JSON_VALUES: list[Any] = json.loads(
    '[null, true, -1, 0, 1e308, 1000000000000000000000000000000, "", "nan", [], {},'
    ' [[]], [null], {"": 0},"\\u0000", "犬", "/etc/passwd", "99999999x99999999", [1,'
    ' 1], ["a"], [{"name": "a"}], {"name": 3},"float16", "../../x"]'
)
CELLS = ["nan", "inf", "-1", "1e999", "=1+1", "犬", "1", "../../x", "/dev/zero"]
CELLS += ["", "x" * 300, "a\nb", "\0"]

SHARED = """
sounds    DATASET={world}/sounds/little.csv DATA={world}/data
tree      DATASET={world}/tree DATA={world}/data
runs      RUNS={world}/runs
of_run    RUN=mel+rms-cnn4 RUNS={world}/runs
audio     AUDIO={world}/sounds/bell/bell0-A.wav REPORTS={world}/reports
training  FEATURES=mel+rms MODEL=cnn4 GRID=64x108 EPOCHS=1 BATCH=8 PRECISION=fp32 THREADS=1 DEVICE=cpu AUGMENT=shift TAG=
report    RUNS={world}/runs REPORTS={world}/reports
"""
# The name of a call, then its words; the calls are valid and quick.
CALLS = """
data             data {sounds}
data-zip         data DATASET=esc10 DATA={world}/unpacked ARCHIVE={world}/esc.zip
features         features {sounds} FEATURES='mel rms zcr' JOBS=1
features-tree    features {tree} FEATURES=rms JOBS=1
altered          data {tree} ALTER=gain COPIES=2 NAME=altered DATA={world}/other
list             show FEATURES=mel
check            check {sounds}
check-tree       check {tree}
info             show {sounds}
run              train {sounds} {runs} {training}
run-tree         train {tree} {runs} FEATURES=rms MODEL=linear FOLDS=1
run-weights      train {sounds} {runs} {training}started FOLDS=1 WEIGHTS={world}/model.pt
predict          predict {of_run} {audio} DATA={world}/data OUT={world}/answers.json
remove           remove {of_run} DATA={world}/data YES=1
predict-bundle   predict RUN={world}/model.pt {audio} OUT={world}/answers.json
predict-windows  predict {of_run} {audio} HOP=0.5 THREADS=1
onnx             export {of_run} OUT={world}/model.onnx
listen           listen {of_run}
listen-bundle    listen RUN={world}/model.pt
bundle           bundle {of_run} OUT={world}/model.pt
train-list       models
runs-list        runs {runs}
analysis         analysis {sounds} {report}
"""
# A pattern of paths, then the calls that read such a file.
READERS = r"""
/\.[a-z-]+\.json$                  run features analysis remove
run\.json                        analysis run predict bundle onnx
history                          analysis run
predictions                      analysis run bundle onnx
(last|best)\.pt                  predict bundle listen onnx predict-windows
model\.pt                        predict-bundle listen-bundle run-weights
esc\.zip                         data-zip
index\.h5$                       features info run analysis
h5$|costs|failures\.csv|locks    features info run analysis
folds\.csv                       features-tree run-tree
little\.csv$                     features check data run analysis
tree/                            features-tree check-tree
sounds/                          features check data predict predict-windows
reports/                         analysis
"""
LOADED = (
    "librosa pandas matplotlib.pyplot sklearn.linear_model torch"
    " featurestack.pipeline.extract featurestack.train.training featurestack.predict.model"
    " featurestack.analysis.report.build"
)


class FuzzOptions(Options):
    """Number and kind of trials."""

    trials: int = option(5000, "calls of a command")
    first: int = option(0, "number of the first trial")
    seed: int = option(0, "seed of everything random")


class Call(NamedTuple):
    """Words of the program, and the name in CALLS."""

    words: tuple[str, ...]
    name: str = ""


def pairs(lines: str) -> dict[str, str]:
    """first word of each line -> the rest of the line."""
    return dict(line.split(maxsplit=1) for line in lines.strip().splitlines())


def usual(world: Path) -> dict[str, list[str]]:
    """name -> words of each of CALLS in this world."""
    shared = {name: words.format(world=world) for name, words in pairs(SHARED).items()}
    return {
        name: shlex.split(words.format(world=world, **shared))
        for name, words in pairs(CALLS).items()
    }


class Worlds:
    """The intact world, and a copy that is damaged and put right for each call."""

    def __init__(self, folder: Path) -> None:
        self.sound, self.world = folder / "sound", folder / "world"
        self.world.mkdir()
        make_world(self.world)
        files = sorted(self.world.rglob("*"))
        paths = [one.relative_to(self.world) for one in files if one.is_file()]
        self.files = [path for path in paths if path.parts[0] != "sites"]
        self.world.rename(self.sound)
        self.put_right()

    def put_right(self) -> None:
        shutil.rmtree(self.world, ignore_errors=True)
        # copies FIFOs and links as such
        subprocess.run(["cp", "-a", self.sound, self.world], check=True)


def make_world(world: Path) -> None:
    """Make everything that a command can read, small, by the commands themselves."""
    easy_clips(world / "sounds")
    shutil.copytree(world / "sounds", world / "tree")
    (world / "sounds.csv").rename(world / "sounds" / "little.csv")
    (world / "sounds" / "x.txt").write_text("no sound")
    shutil.make_archive(str(world / "esc"), "zip", world / "tree")
    calls = usual(world)
    others = ["MODEL=linear"], ["MODEL=texturenet", "VAL=group", "FOLDS=1"]
    made = [calls["features"], calls["run"]]
    made += [[*calls["run"], *other] for other in others]
    made += [calls[name] for name in ("bundle", "analysis", "features-tree")]
    for words in made:
        outcome = run(words)
        assert outcome.status == 0 and not outcome.finding, (words, outcome)
    make_sites(world)
    os.mkfifo(world / "fifo")
    (world / "loop").symlink_to("loop")
    (world / "nothing").symlink_to("not there")
    (world / "empty").mkdir()


def hostile_call(rng: random.Random, world: Path) -> Call:
    """A command with one or two hostile options."""
    calls, variables = usual(world), every_options()
    known_of = {name: [*variables[words[0]]] for name, words in calls.items()}
    (name,) = rng.choices([*calls], [len(known) for known in known_of.values()])
    words, known = calls[name], known_of[name]
    for variable in rng.sample(known, min(len(known), rng.choice([1, 1, 2]))):
        value = rng.choice(HOSTILE.split()).replace("~", " ")
        for special, text in {"world": str(world), **SPECIAL}.items():
            value = value.replace(f"{{{special}}}", text)
        flag = f"--{variable.replace('_', '-')}={value}"
        given = f"{variable.upper()}={value}"
        words = [*words, rng.choice([given, given, flag])]
    return Call(tuple(words), name)


def of_run(file: Path) -> bool:
    return file.parts[:1] in (("runs",), ("model.pt",))


def damaging_call(rng: random.Random, worlds: Worlds) -> tuple[Call, Path]:
    """A command, and a file that it reads, to be damaged before."""
    by_format: dict[str, list[Path]] = {}
    formats = pairs(READERS).items()
    for file in worlds.files:
        fitting = (calls for form, calls in formats if re.search(form, str(file)))
        by_format.setdefault(next(fitting, ""), []).append(file)
    by_format.pop("", None)
    readers = rng.choice(list(by_format))
    file, name = rng.choice(by_format[readers]), rng.choice(readers.split())
    words = usual(worlds.world)[name]
    if file.parts[0] == "runs" and f"RUN={RUN}" in words:
        own = f"RUN={worlds.world.joinpath(*file.parts[:3])}"
        words = [own if word == f"RUN={RUN}" else word for word in words]
    return Call(tuple(words), name), file


def damage(file: Path, rng: random.Random) -> str:
    """Damage a file; the kind of damage."""
    if rng.random() < OTHER_KIND:
        return other_kind(file, rng)
    how = rng.choice([flip, cut, overwrite, BY_FORMAT.get(file.suffix, flip)])
    file.write_bytes(how(file.read_bytes(), rng))
    return how.__name__


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flip one to a hundred bits, half the time near the beginning."""
    flipped = bytearray(content or b"\0")
    for _ in range(rng.choice([1, 1, 3, 100])):
        place = rng.randrange(min(len(flipped), rng.choice([512, 1 << 30])))
        flipped[place] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Keep only the beginning, or nothing."""
    return content[: rng.choice([0, rng.randrange(len(content) + 1)])]


def overwrite(content: bytes, rng: random.Random) -> bytes:
    """Put random bytes, text or zeros in place of a block, or of everything."""
    start = rng.choice([0, rng.randrange(len(content) + 1)])
    length = rng.choice([16, 4096, len(content)])
    text = b"text, with\nno meaning\n"
    block = rng.choice([rng.randbytes(length), text, bytes(length)])
    return content[:start] + block + content[start + length :]


def change_json(content: bytes, rng: random.Random) -> bytes:
    """Remove or replace a value somewhere in nested dictionaries and lists."""
    whole = held = json.loads(content)
    while True:
        key = rng.choice([*held] if isinstance(held, dict) else range(len(held)))
        nested = isinstance(held[key], dict | list) and held[key]
        if not nested or rng.random() >= DEEPER:
            break
        held = held[key]
    if rng.random() < TAKEN_OUT:
        del held[key]
    else:
        held[key] = rng.choice(JSON_VALUES)
    return json.dumps(whole).encode()


def change_cell(content: bytes, rng: random.Random) -> bytes:
    """Change a cell, repeat a row, or remove a column."""
    rows = list(csv.reader(io.StringIO(content.decode()))) or [[""]]
    row, what = rng.choice(rows), rng.randrange(4)
    if what == 0:
        rows.append(row)
    elif what == 1:
        rows = [one[1:] for one in rows]
    elif row:
        row[rng.randrange(len(row))] = rng.choice(CELLS)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")


KINDS = ["gone", "folder", "fifo", "dangling", "loop", "endless", "another"]
BY_FORMAT = {".json": change_json, ".csv": change_cell}


def other_kind(file: Path, rng: random.Random) -> str:
    """Replace a file by something irregular, by another file, or by nothing."""
    kind = rng.choice(KINDS)
    other = rng.choice(sorted(one for one in file.parent.iterdir() if one.is_file()))
    content = other.read_bytes()
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "another":
        file.write_bytes(content)
        return f"is {other.name}"
    elif kind != "gone":
        to = {"dangling": "not there", "loop": file.name, "endless": "/dev/zero"}
        file.symlink_to(to[kind])
    return kind


def reads_otherwise(how: str, file: Path, said: str, sound: str) -> bool:
    """Whether a damaged file of a run changed the output, and no new line names the
    file. Text does not count: it has no checksum, and is valid in itself.
    """
    meant = file.suffix in (".json", ".csv") or how.startswith("is ")
    named = any(file.name in line for line in said.splitlines() if line not in sound)
    return not meant and said != sound and not named


def trial(
    number: int, seed: int, worlds: Worlds, sound: dict[tuple[str, ...], str]
) -> tuple[Outcome, str]:
    """The outcome of a trial, and what it did; `sound` has outputs of an intact world."""
    rng, file, how = random.Random(f"{seed} {number}"), Path(), ""
    (kind,) = rng.choices([*KINDS_OF_TRIALS], [*KINDS_OF_TRIALS.values()])
    if kind == "situation":
        return rng.choice(SITUATIONS)(rng, worlds.world)
    if kind == "options":
        call = hostile_call(rng, worlds.world)
    else:
        call, file = damaging_call(rng, worlds)
        if of_run(file) and call.words[0] == "predict" and call.words not in sound:
            sound[call.words] = run(call.words).output
            worlds.put_right()
        how = damage(worlds.world / file, rng)
    outcome = run(call.words)
    compared = of_run(file) and call.words in sound and not outcome.finding
    if compared and reads_otherwise(how, file, outcome.output, sound[call.words]):
        outcome = outcome._replace(finding="reads otherwise")
    usual_words = usual(worlds.world)[call.name]
    own = [ascii(word)[:200] for word in call.words if word not in usual_words]
    return outcome, f"{call.name} {' '.join(own)} {file} {how}"


def fuzz(options: FuzzOptions) -> int:
    """Make call after call and count the findings."""
    # a forked trial would wait for threads that it does not have
    os.environ["OMP_NUM_THREADS"] = "1"
    counts: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    sound: dict[tuple[str, ...], str] = {}
    numbers = range(options.first, options.first + options.trials)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["FUZZ_FOLDER"] = folder
        if not mounts_are_private():
            print("no file system can be mounted here: no trial fills a disk")
            SITUATIONS.remove(full_disk)
        for module in LOADED.split():
            importlib.import_module(module)
        worlds = Worlds(Path(folder))
        for number in progress(numbers, label="fuzz", unit="trials"):
            outcome, did = trial(number, options.seed, worlds, sound)
            counts[f"exit status {outcome.status}"] += 1
            counts["unforeseen"] += UNFORESEEN in outcome.output
            if outcome.finding:
                findings[outcome.finding.split(":")[0]] += 1
                last = outcome.output.rstrip().splitlines()[-LINES:]
                shown = "\n    ".join(line[:200] for line in last)
                said = f"trial {number}, {did}: {outcome.finding}"
                print(f"{said}\n    {shown}", flush=True)
            worlds.put_right()
    found = f"findings: {dict(findings) or 'none'}"
    print(f"{options.trials} trials: {dict(sorted(counts.items()))}; {found}")
    return 1 if findings else 0


if __name__ == "__main__":
    bench(fuzz)
