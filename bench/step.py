"""A training step by several loops, then folds and predictions by the commands, on a
card if there is one, else on the processor:

    python -m bench.step
    python -m bench.step GRID=32x32 BATCH=8 STEPS=2 EPOCHS=1     small, to try it

ResNet-18 on batches of three channels of noise; speed does not depend on the clips. The
usual loop has torch's DataLoader, fp32 and the loss of each step; the others have their
batch on the device, and `the trainer` is that of `make train` with its augmentation. A
time is the mean of STEPS steps after some that are not timed, for BATCH clips. The
trainer is compared with the usual loop and with itself on one of the channels. Then
`make train` and `make predict` are timed on the synthetic sounds. docs/tables/gpu.csv
holds a result.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from bench.record import bench
from featurestack.base.options import Options, option
from featurestack.features_cache import external
from featurestack.results.config import Compute
from featurestack.train.compute import device_of, place, preferred, prepare
from featurestack.train.fold_data import load_fold, measure_clips
from featurestack.train.folds import draw_network
from featurestack.train.optimisation import Passes, Replayed, cuda_graph
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan
from featurestack.train.trainer import Trainer

SHAPES = {"mel": 128, "mfcc": 40, "chroma": 12}
CLASSES, FOLDS, FULL = 10, 5, 256  # FULL: clips that keep a card busy
UNTIMED = 4
USUAL = "usual loop, fp32"
Step = Callable[[], object]


class StepBenchOptions(Options):
    """Input, device and number of steps."""

    device: str = option("auto", "cpu or cuda; auto is a card if there is one")
    grid: str = option("128x431", "rows x frames")
    batch: int = option(32, "clips in a step", least=2)
    steps: int = option(50, "timed steps", least=1)
    workers: int = option(8, "processes of the usual loop's DataLoader", least=0)
    epochs: int = option(40, "epochs of the commands that train", least=1)


def step(options: StepBenchOptions) -> int:
    """Print the milliseconds of a step by each loop, and the commands' seconds."""
    device = device_of(options.device)
    with tempfile.TemporaryDirectory() as scratch:
        write_noise(Path(scratch), options)
        plan = plan_on(Path(scratch), options, device, "+".join(SHAPES))
        compute = preferred(plan.training, device, (options.batch, *plan.input.shape))
        print(f"ResNet-18, {options.batch} x 3 x {options.grid}, {compute}")
        loops = {USUAL: usual(plan, compute.device, options)}
        loops[f"eager, {compute.precision}"] = bare(plan, compute, options.batch)
        if device == "cuda":
            graph = bare(plan, compute, options.batch, graph=True)
            loops["one CUDA graph"] = graph
        seconds = {}
        for way, call in loops.items():
            seconds[way] = timed(call, options.steps, device)
            line(way, seconds[way])
        with suppress(Exception):  # of many classes: it may lack a C++ compiler
            compiled = bare(plan, compute, options.batch, compiled=True)
            line("torch.compile", timed(compiled, options.steps, device))
        if device == "cuda":
            full = timed(bare(plan, compute, FULL, graph=True), options.steps, device)
            line(f"one CUDA graph, batches of {FULL}", full * options.batch / FULL)
        stack = trained(plan, compute, options.steps)
        line("the trainer", stack)
        single = plan_on(Path(scratch), options, device, "mel")
        mel = trained(single, compute, options.steps)
        line("the trainer on mel", mel)
        print(
            f"the trainer is {seconds[USUAL] / stack:.1f} times as fast as the usual"
            f" loop, and takes {stack / mel:.2f} times its time on mel",
            flush=True,
        )
    with tempfile.TemporaryDirectory() as scratch:
        time_commands(Path(scratch), options, device)
    return 0


def time_commands(folder: Path, options: StepBenchOptions, device: str) -> None:
    """Print the seconds of one fold, of all folds, and of predictions of all files."""
    synth = ["DATASET=synth", f"DATA={folder / 'data'}"]
    featurestack("features", *synth, f"FEATURES={' '.join(SHAPES)}")
    train = ["train", *synth, "WEIGHTS=none", f"EPOCHS={options.epochs}"]
    train += [f"GRID={options.grid}", f"BATCH={options.batch}", f"DEVICE={device}"]
    for way, *words in (("one fold", "FOLDS=1"), (f"{FOLDS} folds",)):
        runs = f"RUNS={folder / way.replace(' ', '_')}"
        print(f"{way:<40}{featurestack(*train, *words, runs):>8.1f} s", flush=True)
    answers = [f"OUT={folder / 'answers.csv'}", f"REPORTS={folder / 'reports'}"]
    audio = f"AUDIO={folder / 'data' / 'synth' / 'audio'}"
    run = [synth[1], f"RUNS={folder / 'one_fold'}", "RUN=last", f"DEVICE={device}"]
    seconds = featurestack("predict", *run, audio, *answers)
    print(f"{'predict, all clips':<40}{seconds:>8.1f} s")


def featurestack(*words: str) -> float:
    """Seconds of a command; CalledProcessError if it fails."""
    command = [sys.executable, "-m", "featurestack", *words]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def line(way: str, seconds: float) -> None:
    print(f"{way:<40}{1000 * seconds:>8.1f} ms a step", flush=True)


def timed(call: Step, steps: int, device: str) -> float:
    """Seconds of a step: the mean of `steps` calls after some that are not timed."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(UNTIMED):
        call()
    wait()
    start = time.perf_counter()
    for _ in range(steps):
        call()
    wait()
    return (time.perf_counter() - start) / steps


def usual(plan: Plan, device: str, options: StepBenchOptions) -> Step:
    """A loop as tutorials write it."""
    torch.backends.cudnn.benchmark = True
    network = draw_network(plan, 1).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters())
    clips = options.batch * min(options.steps, 8)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(clips, *plan.input.shape, generator=chance)
    data = TensorDataset(x, torch.arange(clips) % CLASSES)
    loader = DataLoader(
        data,
        options.batch,
        shuffle=True,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        pin_memory=device == "cuda",
    )

    batches = chain.from_iterable(repeat(loader))

    def one() -> float:
        x, y = (part.to(device, non_blocking=True) for part in next(batches))
        loss = nn.functional.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return one


def bare(
    plan: Plan,
    compute: Compute,
    clips: int,
    *,
    compiled: bool = False,
    graph: bool = False,
) -> Step:
    """The trainer's step on one batch that lies on the device."""
    trainer = trainer_of(plan, compute)
    if compiled:
        trainer.network = torch.compile(trainer.network)  # type: ignore[assignment]
    passes: Passes = trainer.both_passes
    recorded = Replayed(trainer.network, passes, cuda_graph)
    trainer.gradients = recorded if graph else passes
    x = torch.randn(clips, *plan.input.shape, device=compute.device)
    y = torch.eye(CLASSES, device=compute.device)[torch.arange(clips) % CLASSES]
    return lambda: trainer.step(x, y, 1e-4)


def trainer_of(plan: Plan, compute: Compute) -> Trainer:
    """Fold 1, ready to train."""
    prepare(compute)
    moments, _ = measure_clips(plan)
    data = load_fold(plan, 1, plan.split(1), moments, compute.device)
    return Trainer(data, place(draw_network(plan, 1), compute), compute)


def trained(plan: Plan, compute: Compute, steps: int) -> float:
    """Seconds of a step of the trainer in the second epoch; the first one prepares."""
    trainer = trainer_of(plan, compute)
    for _ in range(2):
        epoch = trainer.train_epoch(tqdm(disable=True))
    return epoch["seconds"] / steps


def write_noise(folder: Path, options: StepBenchOptions) -> None:
    """A cache of noise: fold 1 trains on the clips of STEPS steps."""
    chance = np.random.default_rng(0)
    trained = options.batch * options.steps
    count = trained + CLASSES
    ids = [f"{number:05d}" for number in range(count)]
    table = {
        "clip_id": ids,
        "label": [f"class{number % CLASSES}" for number in range(count)],
        "fold": [2] * trained + [1] * CLASSES,
    }
    external.create_cache(folder / "noise", table, sample_rate=44_100, duration=5)
    frames = int(options.grid.partition("x")[2])
    for name, rows in SHAPES.items():
        values = chance.normal(-30, 12, (count, rows, frames)).astype(np.float16)
        external.write_feature(folder / "noise", name, values, ids, row_unit="Hz")


def plan_on(
    folder: Path, options: StepBenchOptions, device: str, features: str
) -> Plan:
    run = RunOptions(
        dataset=str(folder / "noise"),
        runs=folder / "runs",
        features=features,
        batch=options.batch,
        grid=options.grid,
        weights="none",
        device=device,
        epochs=1000,
    )
    return make_plan(run)


if __name__ == "__main__":
    bench(step)
