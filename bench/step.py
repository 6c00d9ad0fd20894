"""A training step by several loops, then folds and predictions by the commands, on a
card if there is one, else on the processor:

    python -m bench.step
    python -m bench.step GRID=32x32 BATCH=8 STEPS=2 EPOCHS=1     small, to try it

ResNet-18 on batches of three channels of noise; speed does not depend on the clips. The
usual loop has torch's DataLoader, fp32 and the loss of each step; the others have their
batch on the device, and `the trainer` is that of `make train` with its augmentation. A
time is the mean of STEPS steps after some that are not timed, and is given for BATCH
clips. Then `make train` and `make predict` are timed on the synthetic sounds: one fold,
all five one after another and side by side, and all clips' files. docs/tables/gpu.csv
holds a result.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from bench.record import bench
from featurestack.commandline.options import Options, option
from featurestack.features_cache import external
from featurestack.train.compute import Compute, device_of, preferred
from featurestack.train.fold_data import load_fold, measure_clips
from featurestack.train.folds import draw_network
from featurestack.train.optimisation import Passes, Replayed, cuda_graph
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan
from featurestack.train.trainer import Trainer

SHAPES = {"mel": 128, "mfcc": 40, "chroma": 12}
CLASSES, FOLDS, FULL = 10, 5, 256  # FULL: clips that keep a card busy
UNTIMED = 3
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
    """Print the milliseconds of a step by each loop."""
    device = device_of(options.device)
    with tempfile.TemporaryDirectory() as scratch:
        plan = noise(Path(scratch), options, device)
        compute = preferred(plan.training, device, (options.batch, *plan.input.shape))
        rows = []
        for way, clips, make in loops(plan, compute, options):
            first, each = timed(make, options.steps, device)
            scaled = each * options.batch / clips
            rows.append((way, 1000 * scaled, first))
    head = f"ResNet-18, {options.batch} x 3 x {options.grid}, {compute}"
    print(f"{head:<66}{'ms a step':>12}{'s, the first':>14}")
    for way, milliseconds, first in rows:
        print(f"{way:<66}{milliseconds:>12.1f}{first:>14.1f}")
    print(f"\n{'make train, make predict':<66}{'seconds':>12}")
    with tempfile.TemporaryDirectory() as scratch:
        for way, words in commands(Path(scratch), options, device):
            start = time.perf_counter()
            featurestack(*words)
            if way:
                print(f"{way:<66}{time.perf_counter() - start:>12.1f}", flush=True)
    return 0


def featurestack(*words: str) -> None:
    """Run a command; CalledProcessError if it fails."""
    command = [sys.executable, "-m", "featurestack", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def commands(
    folder: Path, options: StepBenchOptions, device: str
) -> Iterator[tuple[str, list[str]]]:
    """(name of a row, words); without a name it is not timed."""
    data = f"DATA={folder / 'data'}"
    synth = ["DATASET=synth", data]
    yield "", ["features", *synth, f"FEATURES={' '.join(SHAPES)}"]
    train = ["train", *synth, f"FEATURES={'+'.join(SHAPES)}", "MODEL=resnet18"]
    train += ["WEIGHTS=none", f"GRID={options.grid}", f"BATCH={options.batch}"]
    train += [f"EPOCHS={options.epochs}"]
    side_by_side = "cuda:0 " * FOLDS if device == "cuda" else "cpu cpu"
    for way, more in (
        ("one fold", [f"DEVICE={device}", "FOLDS=1"]),
        (f"{FOLDS} folds, one after another", [f"DEVICE={device}"]),
        (
            f"{FOLDS} folds, DEVICE='{side_by_side.strip()}'",
            [f"DEVICE={side_by_side.strip()}", "THREADS=1"],
        ),
    ):
        yield way, [*train, *more, f"RUNS={folder / way.replace(' ', '_')}"]
    audio = folder / "data" / "synth" / "audio"
    runs = folder / "one_fold"
    answers = [f"OUT={folder / 'answers.csv'}", f"REPORTS={folder / 'reports'}"]
    where = [data, f"RUNS={runs}", "RUN=last", f"AUDIO={audio}", f"DEVICE={device}"]
    clips = len([*audio.rglob("*.wav")])
    yield f"predict, {clips} clips", ["predict", *where, *answers]


def loops(
    plan: Plan, compute: Compute, options: StepBenchOptions
) -> Iterator[tuple[str, int, Callable[[], Step]]]:
    """(name, clips of a step, what makes a step)."""
    size, card = options.batch, compute.device == "cuda"
    yield "usual loop, fp32", size, lambda: usual(plan, compute.device, options)
    yield f"eager, {compute.precision}", size, lambda: bare(plan, compute, size)
    if can_compile(compute):
        yield "torch.compile", size, lambda: bare(plan, compute, size, compiled=True)
    if card:
        yield "one CUDA graph", size, lambda: bare(plan, compute, size, graph=True)
        way = f"one CUDA graph, batches of {FULL}"
        yield way, FULL, lambda: bare(plan, compute, FULL, graph=True)
    yield "the trainer", size * options.steps, lambda: own(plan, compute)


def can_compile(compute: Compute) -> bool:
    """Whether torch.compile has what it needs, such as a C++ compiler."""
    try:
        torch.compile(torch.relu)(torch.zeros(1, device=compute.device))
    except Exception:  # of many classes, by version and machine
        return False
    return True


def timed(make: Callable[[], Step], steps: int, device: str) -> tuple[float, float]:
    """Seconds of the first call, and of each of the later ones."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    start = time.perf_counter()
    call = make()
    call()
    wait()
    first = time.perf_counter() - start
    whole_epoch = getattr(call, "epoch", False)
    count = 1 if whole_epoch else steps
    for _ in range(0 if whole_epoch else UNTIMED):
        call()
    wait()
    start = time.perf_counter()
    for _ in range(count):
        call()
    wait()
    return first, (time.perf_counter() - start) / count


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

    def endless() -> Iterator[list[torch.Tensor]]:
        while True:
            yield from loader

    batches = endless()

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
    trainer.gradients = passes
    if graph:
        trainer.gradients = Replayed(trainer.network, passes, cuda_graph)
    x = torch.randn(clips, *plan.input.shape, device=compute.device)
    y = torch.eye(CLASSES, device=compute.device)[torch.arange(clips) % CLASSES]
    return lambda: trainer.step(x, y, 1e-4)


def own(plan: Plan, compute: Compute) -> Step:
    """An epoch of the trainer."""
    trainer = trainer_of(plan, compute)

    def epoch() -> None:
        trainer.train_epoch(tqdm(disable=True))

    epoch.epoch = True  # type: ignore[attr-defined]
    return epoch


def trainer_of(plan: Plan, compute: Compute) -> Trainer:
    """Fold 1, ready to train."""
    compute.prepare()
    data = load_fold(plan, 1, plan.split(1), measure_clips(plan), compute.device)
    return Trainer(data, compute.place(draw_network(plan, 1)), compute)


def noise(folder: Path, options: StepBenchOptions, device: str) -> Plan:
    """A plan on a cache of noise: fold 1 trains on the clips of STEPS steps."""
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
    run = RunOptions(
        dataset=str(folder / "noise"),
        runs=folder / "runs",
        features="+".join(SHAPES),
        batch=options.batch,
        grid=options.grid,
        weights="none",
        device=device,
        epochs=1000,
    )
    return make_plan(run)


if __name__ == "__main__":
    bench(step)
