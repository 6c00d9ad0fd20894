"""Training: clips a second and the whole of a course, against the loops that people write.

    python -m bench.training

ResNet-18 on 3 x 128 x 431, batch 32. All alternatives run in turn within each round, so that a busy machine
slows all of them alike; ratios are medians over the rounds. Loops of others run in processes of their own.
Clips are noise: speed does not depend on them.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from bench.usual_loops import GRID, Apart, FromAudio, Saved
from commandline.commands import Command, main
from commandline.options import Options, option
from commandline.terminal import text_table
from features_cache import external
from train.compute import Compute, candidates, choose, device_of
from train.data import draw_batches, load_fold, sum_clips
from train.options import RunOptions
from train.plan import make_plan
from train.trainer import Trainer, draw_network

SHAPES = {"mel": 128, "mfcc": 40, "chroma": 12}
CLASSES, FOLDS = 10, 2
RATE, SECONDS = 44_100, 5
GPU_CLIPS, GPU_FOLDS, GPU_EPOCHS, GPU_SECONDS = 1_600, 5, 60, 60.0
COURSE = 20  # epochs of the comparison with training from audio
AUDIO_ROUNDS = 2  # its epochs take long
SPARE = 1.5e9  # bytes of memory besides 1.3 times the features

Timed = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class TrainingBenchOptions(Options):
    """How long."""

    clips: int = option(128, "trained on in a timed epoch")
    rounds: int = option(5, "timed epochs of each alternative")
    memory_of: str = option(
        "",
        "only train one epoch from this cache and print the peak of memory; what the bench calls itself with",
    )


class NoProgress:
    """Nobody watches a timed epoch."""

    def step(self, clips: int) -> None: ...
    def epoch(self, row: dict[str, float]) -> None: ...


def training(options: TrainingBenchOptions) -> int:
    """Compare clips a second, the data path, streaming, training from audio, memory."""
    if options.memory_of:
        return _peak(Path(options.memory_of))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run = make_run(folder / "noise", options.clips)
        rows = clips_a_second(run, folder, options)
        rows += from_audio(run, folder, options)
        rows.append(memory(folder / "noise"))
        if torch.cuda.is_available():
            rows += on_gpu(run, options)
    print(text_table(rows, ("what", "ours", "alternative", "ratio", "target", "")))
    return 0


def make_run(folder: Path, clips: int) -> RunOptions:
    """A cache of noise in the shapes of real features; fold 1 trains on `clips`, fold 2 on eight."""
    chance = np.random.default_rng(0)
    count = clips + 8
    ids = [f"{number:05d}" for number in range(count)]
    table = {
        "clip_id": ids,
        "label": [f"class{number % CLASSES}" for number in range(count)],
        "fold": [2] * clips + [1] * 8,
    }
    external.create_cache(folder, table, sample_rate=RATE, duration=SECONDS)
    for name, rows in SHAPES.items():
        values = chance.normal(-30, 12, (count, rows, GRID[1])).astype(np.float16)
        external.write_feature(folder, name, values, ids, row_unit="Hz")
    grid = "{}x{}".format(*GRID)  # the network alone, as in the loops compared with
    return RunOptions(dataset=str(folder), folds=(1,), grid=grid, model="resnet18", runs=folder / "runs")


def trainer_of(run: RunOptions, arithmetic: Compute) -> Trainer:
    """Fold 1, ready to train."""
    plan = make_plan(run)
    sums = sum_clips(plan, plan.table.index.to_numpy())
    data = load_fold(plan, 1, plan.split(1), sums, torch.device(arithmetic.device))
    return Trainer(arithmetic.place(draw_network(plan, 1)), data, run, plan.augmenter, arithmetic)


def chosen_arithmetic(run: RunOptions, device: str = "cpu") -> Compute:
    plan = make_plan(run)
    network = draw_network(plan, 1)
    found = choose(run, device, network, plan.batch_shape(network), steps=10_000)
    return replace(found, compiled=False)


class Fixed:
    """A source that hands out the same tensors again: a training loop without a data path."""

    def __init__(self, trainer: Trainer) -> None:
        wanted = draw_batches(trainer.data, trainer.options, epoch=1)
        self.tensors = [x.clone() for x in trainer.data.source.batches(wanted)]

    def batches(self, wanted: object, /) -> list[torch.Tensor]:
        return self.tensors


def take_turns(alternatives: Mapping[str, Callable[[], object]], rounds: int) -> Timed:
    """Seconds of each alternative in each round, after one round that is not counted."""
    seconds: Timed = {name: [] for name in alternatives}
    for number in range(1 + rounds):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Timed, slow: str, fast: str) -> float:
    """How many times as long `slow` takes: the median over the rounds."""
    return statistics.median(one / other for one, other in zip(seconds[slow], seconds[fast]))


def clips_a_second(run: RunOptions, folder: Path, options: TrainingBenchOptions) -> list[tuple[str, ...]]:
    arithmetic = chosen_arithmetic(run)
    arithmetic.prepare()
    ours = trainer_of(replace(run, resident="ram"), arithmetic)
    streamed = trainer_of(replace(run, resident="stream"), arithmetic)
    bare = trainer_of(replace(run, augment="none"), arithmetic)
    bare.data = replace(bare.data, source=Fixed(bare))
    network = draw_network(make_plan(run), 1)
    files = saved(folder / "saved", options.clips)
    with Apart(files, network, run.batch, arithmetic.threads) as usual:
        seconds = take_turns(
            {
                "usual": usual,
                "ours": lambda: ours.train_epoch(NoProgress()),
                "bare": lambda: bare.train_epoch(NoProgress()),
                "streamed": lambda: streamed.train_epoch(NoProgress()),
            },
            options.rounds,
        )
    speed = {name: options.clips / statistics.median(values) for name, values in seconds.items()}
    target = 2.4 if arithmetic.precision == "bf16" else 1.05
    data_path, stream = ratio(seconds, "ours", "bare") - 1, ratio(seconds, "streamed", "ours") - 1
    how = f"{arithmetic.precision}, {arithmetic.threads} threads"
    return [
        _row(
            "clips/s against the usual loop",
            speed["ours"],
            speed["usual"],
            ratio(seconds, "usual", "ours"),
            target,
            how,
        ),
        _row("data path and augmentation", speed["ours"], speed["bare"], data_path, -0.03, "share of a step"),
        _row("streamed against RAM", speed["streamed"], speed["ours"], stream, -0.03, "slower by"),
    ]


def _row(what: str, ours: float, other: float, ratio: float, target: float, note: str) -> tuple[str, ...]:
    """A negative target is a share not to be exceeded."""
    if target < 0:
        met, shown, wanted = ratio <= -target, f"{100 * ratio:.1f} %", f"at most {-100 * target:.0f} %"
    else:
        met, shown, wanted = ratio >= target, f"{ratio:.2f}", f"at least {target:g}"
    return what, f"{ours:.1f}", f"{other:.1f}", shown, wanted, f"{note}; {'met' if met else 'missed'}"


def saved(folder: Path, clips: int) -> Saved:
    folder.mkdir()
    chance = np.random.default_rng(1)
    for number in range(clips):
        np.save(folder / f"{number}.npy", chance.normal(size=(3, *GRID)).astype(np.float32))
    return Saved(
        [folder / f"{number}.npy" for number in range(clips)], [number % CLASSES for number in range(clips)]
    )


def from_audio(run: RunOptions, folder: Path, options: TrainingBenchOptions) -> list[tuple[str, ...]]:
    """A course from audio each epoch, and from the cache with the extraction included."""
    files = sounds(folder / "sounds", options.clips)
    targets = [number % CLASSES for number in range(options.clips)]
    extraction = extract(folder, files)
    arithmetic = chosen_arithmetic(run)
    ours = trainer_of(replace(run, resident="ram"), arithmetic)
    loops = {
        "theirs in fp32": (False, 3.0),
        "our model's speed on both sides": (True, 1.5),
    }
    alternatives: dict[str, Callable[[], object]] = {"ours": lambda: ours.train_epoch(NoProgress())}
    arithmetic.prepare()
    with ExitStack() as running:
        for name, (fast, _) in loops.items():
            network = draw_network(make_plan(run), 1)
            theirs = Apart(FromAudio(files, targets), network, run.batch, arithmetic.threads, fast)
            alternatives[name] = running.enter_context(theirs)
        timed = take_turns(alternatives, AUDIO_ROUNDS)
    seconds = {name: statistics.median(values) for name, values in timed.items()}
    whole = extraction + COURSE * seconds["ours"]
    rows = []
    for name, (_, target) in loops.items():
        saving = seconds[name] - seconds["ours"]
        note = f"seconds of {COURSE} epochs, {name}; even after {extraction / saving:.1f}"
        times = COURSE * seconds[name] / whole
        rows.append(_row("from audio each epoch", whole, COURSE * seconds[name], times, target, note))
    return rows


def sounds(folder: Path, count: int) -> list[Path]:
    """WAV files of noise, in class folders."""
    chance = np.random.default_rng(2)
    files = [folder / f"class{number % CLASSES}" / f"{number:05d}.wav" for number in range(count)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, chance.normal(0, 0.1, RATE * SECONDS), RATE, subtype="PCM_16")
    return files


def extract(folder: Path, files: list[Path]) -> float:
    """Seconds of `make features` for these files."""
    dataset = files[0].parent.parent
    words = [f"DATASET={dataset}", f"DATA={folder / 'data'}", f"FEATURES={' '.join(SHAPES)}"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipeline", "features", *words], check=True, capture_output=True)
    return time.perf_counter() - start


def memory(cache: Path) -> tuple[str, ...]:
    """Peak of a process that trains an epoch, against 1.3 times the features in float16 and 1.5 GB."""
    command = [sys.executable, "-m", "bench.training", f"MEMORY_OF={cache}"]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    stored = sum(file.stat().st_size for file in cache.glob("*.h5"))
    allowed = 1.3 * stored + SPARE
    note = f"megabytes, of which features {stored / 1e6:.0f}; {'met' if peak <= allowed else 'missed'}"
    return (
        "peak of memory",
        f"{peak / 1e6:.0f}",
        f"{allowed / 1e6:.0f}",
        f"{peak / allowed:.2f}",
        "at most 1",
        note,
    )


def _peak(cache: Path) -> int:
    grid = "{}x{}".format(*GRID)
    run = RunOptions(dataset=str(cache), folds=(1,), grid=grid, model="resnet18", resident="ram")
    (expected, *_) = candidates(run, "cpu", (run.batch, 3, *GRID))
    expected.prepare()
    trainer_of(run, expected).train_epoch(NoProgress())
    print(peak_memory())
    return 0


def peak_memory() -> int:
    """Bytes. Not ru_maxrss where there is /proc: it counts the parent's memory at the time of the start."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def on_gpu(run: RunOptions, options: TrainingBenchOptions) -> list[tuple[str, ...]]:
    """The same loop on the GPU, against the same model on bare tensors, and what a whole run takes."""
    arithmetic = chosen_arithmetic(run, device_of("cuda"))
    arithmetic.prepare()
    ours = trainer_of(replace(run, resident="gpu"), arithmetic)
    bare = trainer_of(replace(run, resident="gpu", augment="none"), arithmetic)
    bare.data = replace(bare.data, source=Fixed(bare))

    def turn(trainer: Trainer) -> Callable[[], object]:
        def epoch() -> None:
            trainer.train_epoch(NoProgress())
            torch.cuda.synchronize()

        return epoch

    seconds = take_turns({"ours": turn(ours), "bare": turn(bare)}, options.rounds)
    speed = {name: options.clips / statistics.median(values) for name, values in seconds.items()}
    whole = GPU_FOLDS * GPU_EPOCHS * GPU_CLIPS / speed["ours"]
    note = f"clips/s; 2,000 clips x 60 epochs x 5 folds: {whole:.0f} s of at most {GPU_SECONDS:.0f}"
    return [
        _row(
            "on the GPU, against bare tensors",
            speed["ours"],
            speed["bare"],
            ratio(seconds, "bare", "ours"),
            0.85,
            note,
        )
    ]


COMMANDS: list[Command] = [training]

if __name__ == "__main__":
    main(COMMANDS)
